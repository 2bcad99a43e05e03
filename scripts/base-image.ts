/** A small root filesystem made of this machine's static busybox: the base image of the quickstart, the tests and the benchmarks. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { endOfArchive, packHeader, packPadding } from '#archive';

const candidates = ['/bin/busybox', '/usr/bin/busybox'];
const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n';
const group = 'root:x:0:\nnogroup:x:65534:\n';

/** The archive, whole: about 2 MB. */
export function baseImageTar(): Buffer {
  const busybox = candidates.find((path) => existsSync(path));
  if (!busybox) throw new Error('busybox is missing: install the Debian package busybox-static');
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' })
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  const folders = ['bin', 'etc', 'root', 'proc', 'sys', 'dev', 'srv', 'var', 'usr'];
  return Buffer.concat([
    ...folders.map((path) => packHeader({ type: 'directory', path, mode: 0o755 })),
    packHeader({ type: 'directory', path: 'tmp', mode: 0o1777 }),
    ...file('bin/busybox', readFileSync(busybox), 0o755),
    ...applets.map((name) => packHeader({ type: 'symlink', path: `bin/${name}`, linkPath: 'busybox', mode: 0o777 })),
    ...file('etc/passwd', Buffer.from(passwd), 0o644),
    ...file('etc/group', Buffer.from(group), 0o644),
    endOfArchive,
  ]);
}

function file(path: string, bytes: Buffer, mode: number): Uint8Array[] {
  return [packHeader({ type: 'file', path, mode, sizeBytes: bytes.length }), bytes, packPadding(bytes.length)];
}
