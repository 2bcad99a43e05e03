import assert from 'node:assert/strict';
import {
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, open, readdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { temporaryFolder } from '#testing';
import { renameFlags, sys } from './index.ts';

const regularFile = 0o100000;
const fifo = 0o010000;

const unexpected = () => assert.fail('nothing was to be called');

function records(fd: number, maxBytes = 4096): Promise<string[]> {
  const seen: string[] = [];
  return new Promise((resolve, reject) => {
    sys.readRecords(
      fd,
      maxBytes,
      (record) => (record.length === 0 ? resolve(seen) : seen.push(record.toString())),
      reject,
    );
  });
}

test('a failure is a Node-style system error', () => {
  assert.throws(() => sys.lstat('/nowhere/at/all'), {
    code: 'ENOENT',
    errno: -2,
    syscall: 'lstat',
    path: '/nowhere/at/all',
    message: "ENOENT: no such file or directory, lstat '/nowhere/at/all'",
  });
  assert.throws(() => sys.close(1 << 20), { code: 'EBADF', syscall: 'close' });
});

test('arguments of a wrong kind are refused before any call', () => {
  const loose = sys as unknown as Record<string, (...values: unknown[]) => unknown>;
  assert.throws(() => loose['statfs']!(), { code: 'ERR_MISSING_ARGS' });
  assert.throws(() => loose['lstat']!(7), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => loose['lstat']!('a\0b'), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => loose['lstat']!(Buffer.from('a\0b')), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => loose['lstat']!('x'.repeat(5000)), { code: 'ENAMETOOLONG' });
  assert.throws(() => loose['close']!('7'), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => loose['close']!(-1), { code: 'EBADF' });
  assert.throws(() => loose['readRecords']!(0, 0, Math.abs, Math.abs), { code: 'EINVAL' });
  assert.throws(() => loose['fsMount']!('tmpfs', [['a']], '/nowhere', 0), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('nanosecond times are exact, before 1970 too, and symlinks are not followed', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'link');
  await symlink('nowhere', path);
  const atime = { sec: 1_700_000_000, nsec: 123_456_789 };
  const mtime = { sec: -86_400, nsec: 999_999_999 };
  sys.lutimes(path, atime, mtime);
  const stat = sys.lstat(path);
  assert.deepEqual([stat.atime, stat.mtime], [atime, mtime]);
  assert.equal(stat.mode & 0o170000, 0o120000);
});

test('lstat agrees with Node', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  await writeFile(path, 'x'.repeat(10_000));
  const [ours, nodes] = [sys.lstat(path), statSync(path, { bigint: true })];
  assert.equal(ours.ino, nodes.ino);
  assert.deepEqual(
    [ours.size, ours.mode, ours.nlink, ours.uid, ours.gid, ours.blocks],
    [nodes.size, nodes.mode, nodes.nlink, nodes.uid, nodes.gid, nodes.blocks].map(Number),
  );
  assert.equal(BigInt(ours.mtime.sec) * 1_000_000_000n + BigInt(ours.mtime.nsec), nodes.mtimeNs);
});

test('names that are not UTF-8 go in as bytes', async () => {
  await using folder = await temporaryFolder();
  const path = Buffer.concat([Buffer.from(`${folder.path}/`), Buffer.from([0xff, 0xfe, 0x41])]);
  sys.mknod(path, fifo | 0o600, 0, 0);
  assert.equal(sys.lstat(path).mode, fifo | 0o600);
});

test('names of attributes are bytes, whatever they spell', async () => {
  await using folder = await temporaryFolder();
  const names = ['user.caf\xc3\xa9', 'user.\xff\xfe', `user.${'n'.repeat(250)}`];
  for (const name of names) sys.lsetxattr(folder.path, name, Buffer.from(name, 'latin1'));
  assert.deepEqual(sys.llistxattr(folder.path).sort(), names.toSorted());
  for (const name of names) assert.equal(sys.lgetxattr(folder.path, name)?.toString('latin1'), name);
  sys.lremovexattr(folder.path, names[1]!);
  assert.equal(sys.lgetxattr(folder.path, names[1]!), undefined);
  assert.throws(() => sys.lgetxattr(folder.path, `user.${'n'.repeat(251)}`), { code: 'ERANGE' });
});

test('an attribute that is not there reads as undefined', async () => {
  await using folder = await temporaryFolder();
  assert.equal(sys.lgetxattr(folder.path, 'user.wherry'), undefined);
  assert.deepEqual(sys.llistxattr(folder.path), []);
  assert.throws(() => sys.lremovexattr(folder.path, 'user.wherry'), { code: 'ENODATA' });
});

test('rename2 keeps its flags: no replace, exchange', async () => {
  await using folder = await temporaryFolder();
  const [a, b] = [join(folder.path, 'a'), join(folder.path, 'b')];
  await Promise.all([writeFile(a, 'A'), writeFile(b, 'B')]);
  assert.throws(() => sys.rename2(a, b, renameFlags.noReplace), { code: 'EEXIST', path: a });
  sys.rename2(a, b, renameFlags.exchange);
  assert.equal(readFileSync(a).toString() + readFileSync(b).toString(), 'BA');
});

test('openInRoot stays inside: symlinks and .. cannot leave', async () => {
  await using folder = await temporaryFolder();
  await mkdir(join(folder.path, 'root', 'etc'), { recursive: true });
  await writeFile(join(folder.path, 'root', 'etc', 'passwd'), 'inside');
  await symlink('/etc/passwd', join(folder.path, 'root', 'absolute'));
  await symlink('../../../../etc/passwd', join(folder.path, 'root', 'relative'));
  const root = openSync(join(folder.path, 'root'), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const path of ['/etc/passwd', 'absolute', 'relative', '../../etc/passwd']) {
      const fd = sys.openInRoot(root, path, constants.O_RDONLY, 0, 0);
      assert.equal(readFileSync(fd).toString(), 'inside', path);
      sys.close(fd);
    }
    assert.throws(() => sys.openInRoot(root, 'missing', constants.O_RDONLY, 0, 0), { code: 'ENOENT' });
    assert.throws(() => sys.openInRoot(root, 'absolute', constants.O_RDONLY, 0, 4), { code: 'ELOOP' });
    const made = sys.openInRoot(root, 'made', constants.O_WRONLY | constants.O_CREAT, 0o640, 0);
    sys.close(made);
    assert.equal(sys.lstat(join(folder.path, 'root', 'made')).mode, regularFile | 0o640);
  } finally {
    sys.close(root);
  }
});

test('a new file is written whole, with its mode and time, and never over another', async () => {
  await using folder = await temporaryFolder();
  const fd = openSync(folder.path, 'r');
  const make = (name: string, data = 'hello') =>
    sys.writeNewFile(fd, name, Buffer.from(data), process.getuid!(), process.getgid!(), 0o4711, { sec: -5, nsec: 7 });
  try {
    make('caf\u00e9');
    const path = Buffer.concat([Buffer.from(`${folder.path}/caf`), Buffer.of(0xe9)]);
    const { mode, mtime } = sys.lstat(path);
    assert.deepEqual([mode & 0o7777, mtime, readFileSync(path).toString()], [0o4711, { sec: -5, nsec: 7 }, 'hello']);
    assert.throws(() => make('caf\u00e9', 'other'), { code: 'EEXIST', syscall: 'openat' });
    await symlink('target', join(folder.path, 'link'));
    assert.throws(() => make('link'), { code: 'EEXIST' });
    assert.throws(() => make('../out'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => make('a\0b'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => make('x'.repeat(256)), { code: 'ENAMETOOLONG' });
    assert.deepEqual((await readdir(folder.path)).length, 2);
  } finally {
    sys.close(fd);
  }
});

test('copyRange copies the range asked for and stops at the end', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'in'), Buffer.alloc(100_000, 'abcdefghij'));
  await using input = await open(join(folder.path, 'in'), 'r');
  await using output = await open(join(folder.path, 'out'), 'w+');
  assert.equal(sys.copyRange(input.fd, 5, output.fd, 2, 10), 10);
  assert.equal(readFileSync(join(folder.path, 'out'), 'latin1'), '\0\0fghijabcde');
  assert.equal(sys.copyRange(input.fd, 99_990, output.fd, 0, 1000), 10);
  sys.startWriteback(output.fd, 0, 4096);
  sys.syncfs(output.fd);
});

test('a lock on one open file keeps others out until it is closed', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lock');
  const [first, second] = [await open(path, 'w'), await open(path, 'w')];
  assert.equal(sys.tryLock(first.fd), true);
  assert.equal(sys.tryLock(first.fd), true);
  assert.equal(sys.tryLock(second.fd), false);
  await first.close();
  assert.equal(sys.tryLock(second.fd), true);
  await second.close();
});

test('readRecords delivers what is written, then one empty record at the end', async () => {
  const [read, write] = sys.pipe();
  const all = records(read);
  sys.close(read);
  assert.equal(sys.writeSome(write, Buffer.from('one')), 3);
  await new Promise((resolve) => setImmediate(resolve));
  sys.writeSome(write, Buffer.from('two'));
  sys.close(write);
  assert.equal((await all).join(''), 'onetwo');
});

test('a paused reader reads nothing; a stopped one calls nobody', async () => {
  const [read, write] = sys.pipe();
  const seen: string[] = [];
  const reader = sys.readRecords(read, 16, (record) => seen.push(record.toString()), unexpected);
  reader.pause();
  sys.writeSome(write, Buffer.from('a'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(seen, []);
  reader.resume();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(seen, ['a']);
  reader.stop();
  reader.stop();
  reader.resume();
  sys.writeSome(write, Buffer.from('b'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(seen, ['a']);
  sys.close(read);
  sys.close(write);
});

test('a full pipe answers -1, and whenWritable says when there is room', async () => {
  const [read, write] = sys.pipe();
  const all = new Promise<number>((resolve) => {
    let sizeBytes = 0;
    setTimeout(() => {
      sys.readRecords(
        read,
        65_536,
        (record) => (record.length === 0 ? resolve(sizeBytes) : (sizeBytes += record.length)),
        unexpected,
      );
    }, 20);
  });
  sys.readRecords(write, 1, unexpected, unexpected).stop(); // leaves the writing end non-blocking
  const chunk = Buffer.alloc(65_536);
  assert.equal(sys.writeSome(write, chunk), 65_536);
  assert.equal(sys.writeSome(write, chunk), -1);
  await new Promise<void>((resolve) => sys.whenWritable(write, resolve));
  assert.ok(sys.writeSome(write, chunk) > 0);
  sys.close(write);
  assert.equal(await all, 131_072);
  sys.close(read);
});

test('a regular file cannot be watched', async () => {
  await using folder = await temporaryFolder();
  await using file = await open(join(folder.path, 'file'), 'w');
  assert.throws(() => sys.whenReadable(file.fd, unexpected), { code: 'EPERM' });
});

test('a process that ends makes its pidfd readable', async () => {
  const { spawn } = await import('node:child_process');
  const child = spawn('sleep', ['60']);
  const ended = new Promise((resolve) => child.once('close', (_code, signal) => resolve(signal)));
  const pidfd = sys.pidfdOpen(child.pid!);
  const readable = new Promise<void>((resolve) => sys.whenReadable(pidfd, resolve));
  sys.pidfdSignal(pidfd, 0);
  const output = sys.pidfdGetfd(pidfd, 1);
  assert.equal(readlinkSync(`/proc/self/fd/${output}`), readlinkSync(`/proc/${child.pid}/fd/1`));
  sys.close(output);
  assert.throws(() => sys.pidfdGetfd(pidfd, 999), { code: 'EBADF' });
  sys.pidfdSignal(pidfd, 15);
  await readable;
  assert.equal(await ended, 'SIGTERM');
  assert.throws(() => sys.pidfdSignal(pidfd, 0), { code: 'ESRCH' });
  sys.close(pidfd);
});

test('a callback that throws is an uncaught exception, as any other', async () => {
  const [read, write] = sys.pipe();
  const caught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  sys.whenReadable(read, () => {
    throw new Error('from the callback');
  });
  sys.close(write);
  assert.match(String(await caught), /from the callback/);
  process.setUncaughtExceptionCaptureCallback(null);
  sys.close(read);
});

test('a worker that ends with watches open ends cleanly', async () => {
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     const addon = require(workerData);
     const [read] = addon.pipe();
     addon.readRecords(read, 16, () => {}, () => {});
     setTimeout(() => process.exit(7), 10);`,
    {
      eval: true,
      workerData: join(import.meta.dirname, '..', '..', 'native', 'build', `sys-${process.arch}.node`),
    },
  );
  assert.equal(await new Promise((resolve) => worker.once('exit', resolve)), 7);
});

test('seqpacketConnect reports what is wrong with the socket', async () => {
  await using folder = await temporaryFolder();
  const deep = join(folder.path, 'd'.repeat(120));
  await mkdir(deep);
  assert.throws(() => sys.seqpacketConnect(join(deep, 'attach')), { code: 'ENOENT' });
  const server = createServer().listen(join(folder.path, 'stream'));
  await new Promise((resolve) => server.once('listening', resolve));
  assert.throws(() => sys.seqpacketConnect(join(folder.path, 'stream')), { code: 'EPROTOTYPE' });
  server.close();
});

test('limits, umask, statfs and reap answer what the kernel knows', async () => {
  const text = readFileSync('/proc/self/limits').toString();
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  assert.equal(sys.getrlimit(7).soft, Number(soft));
  const before = sys.umask(0o027);
  assert.equal(sys.umask(before), 0o027);
  assert.equal(sys.statfs('/proc').type, 0x9fa0);
  assert.equal(sys.reap(process.pid), undefined);
  assert.throws(() => sys.reap(-1), { code: 'EINVAL' });
});

test('equal blocks are shared where the file system can, unequal ones never', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  writeFileSync(path, Buffer.concat([Buffer.alloc(1 << 16, 1), Buffer.alloc(1 << 16, 1), Buffer.alloc(1 << 16, 2)]));
  await using file = await open(path, 'r');
  await file.sync();
  try {
    assert.equal(sys.dedupeRange(file.fd, 0, file.fd, 1 << 16, 1 << 16), 1 << 16);
    assert.equal(sys.dedupeRange(file.fd, 0, file.fd, 1 << 17, 1 << 16), 0);
  } catch (error) {
    // Most file systems cannot.
    if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOTTY', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  assert.equal(readFileSync(path)[1 << 17], 2);
});

test('a hole gives blocks back and reads as zeros', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  writeFileSync(path, Buffer.alloc(1 << 20, 1));
  await using file = await open(path, 'r+');
  await file.sync();
  const before = sys.lstat(path).blocks;
  sys.fallocatePunch(file.fd, 0, 1 << 19);
  assert.equal(sys.lstat(path).size, 1 << 20);
  assert.ok(sys.lstat(path).blocks < before);
  assert.equal(readFileSync(path)[0], 0);
});

test('a netlink dump is gathered to its end', async () => {
  const fd = sys.netlinkOpen(0);
  const request = Buffer.alloc(32);
  request.writeUInt32LE(32, 0);
  request.writeUInt16LE(18, 4); // RTM_GETLINK
  request.writeUInt16LE(0x301, 6); // NLM_F_REQUEST | NLM_F_DUMP
  const reply = sys.netlinkTransact(fd, request, 1);
  assert.ok(reply.includes('lo\0'));
  const failing = Buffer.from(request);
  failing.writeUInt16LE(5, 6); // NLM_F_REQUEST | NLM_F_ACK
  failing.writeInt32LE(0x7fffffff, 20); // a link that is not there
  assert.equal(sys.netlinkTransact(fd, failing, 1).readInt32LE(16), -19);
  sys.close(fd);
});

test('descriptors made here are close-on-exec', async () => {
  const flags = (fd: number) => /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`).toString())![1]!;
  const [read, write] = sys.pipe();
  const made = [read, write, sys.netlinkOpen(0), sys.pidfdOpen(process.pid)];
  for (const fd of made) assert.ok(Number.parseInt(flags(fd), 8) & 0o2000000, `descriptor ${fd}`);
  for (const fd of made) sys.close(fd);
  assert.ok((await readdir('/proc/self/fd')).length < 200);
});

test('a program is started in a session of its own, with the descriptors it is given and none of ours', async () => {
  const [read, write] = sys.pipe();
  const own = openSync('/dev/null', 'r');
  const script =
    'echo "$A $(pwd) $(ls /proc/$$/fd | tr "\\n" " ")" >&4; [ "$(cut -d" " -f6 /proc/$$/stat)" = $$ ] && exit 7';
  const pid = sys.spawnSession(
    '/bin/sh',
    ['sh', '-c', script],
    ['A=b', 'PATH=/usr/bin:/bin'],
    [-1, -1, -1, read, write],
  );
  sys.close(write);
  const ended = Promise.withResolvers<void>();
  const pidfd = sys.pidfdOpen(pid);
  sys.whenReadable(pidfd, ended.resolve);
  sys.close(pidfd);
  await ended.promise;
  const said = Buffer.alloc(200);
  const text = said.toString('utf8', 0, readSync(read, said)).trim();
  sys.close(read);
  sys.close(own);
  const [variable, folder, ...fds] = text.split(' ');
  assert.deepEqual([variable, folder], ['b', '/']);
  for (const fd of [0, 1, 2, 3, 4]) assert.ok(fds.includes(String(fd)), text);
  assert.ok(!fds.includes(String(own)), `${text} without ${own}`);
  assert.deepEqual(sys.reap(pid), { code: 7, signal: 0 });
  assert.equal(sys.reap(pid), undefined);
});

test('a program that cannot be started says why', () => {
  const before = readdirSync('/proc/self/fd').length;
  assert.throws(() => sys.spawnSession('/nowhere/at-all', ['x'], [], [0, 1, 2]), {
    code: 'ENOENT',
    path: '/nowhere/at-all',
  });
  assert.throws(() => sys.spawnSession('/bin/sh', ['sh'], [], [9999]), { code: 'EBADF' });
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
