/** What the network tests stand on: this namespace made a small host, with a neighbour outside, and programs run inside namespaces. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const hostAddress = '198.51.100.1';
export const outsideAddress = '198.51.100.2';
export const hostAddress6 = 'fd99::1';
export const outsideAddress6 = 'fd99::2';

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Loopback up, and a link to a neighbour in a namespace of its own. Answers the neighbour's namespace. */
export function makeHost(): { outside: string; remove: () => void } {
  const outside = `wherry-test-out-${process.pid}`;
  ip('link', 'set', 'lo', 'up');
  ip('netns', 'add', outside);
  ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'uplink', 'netns', outside);
  ip('addr', 'add', `${hostAddress}/24`, 'dev', 'uplink');
  ip('addr', 'add', `${hostAddress6}/64`, 'dev', 'uplink', 'nodad');
  ip('link', 'set', 'uplink', 'up');
  ip('-n', outside, 'addr', 'add', `${outsideAddress}/24`, 'dev', 'uplink');
  ip('-n', outside, 'addr', 'add', `${outsideAddress6}/64`, 'dev', 'uplink', 'nodad');
  ip('-n', outside, 'link', 'set', 'uplink', 'up');
  ip('-n', outside, 'link', 'set', 'lo', 'up');
  return { outside: `/run/netns/${outside}`, remove: () => ip('netns', 'delete', outside) };
}

/** A process inside a namespace (empty: here) that answers every TCP connection and UDP datagram on `port` with its label and who asked. */
export async function serve(namespace: string, port: number, label: string): Promise<Disposable> {
  const script = `
    const answer = (from) => ${JSON.stringify(label)} + ' ' + from.replace('::ffff:', '');
    require('net').createServer((s) => { s.on('error', () => {}); s.end(answer(s.remoteAddress)); }).listen(${port}, '::', () => {
      const u = require('dgram').createSocket('udp6');
      u.on('message', (m, r) => u.send(answer(r.address), r.port, r.address));
      u.bind(${port}, '::', () => console.log('ready'));
    });`;
  const child = spawn(...inside(namespace, script), { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return { [Symbol.dispose]: () => child.kill('SIGKILL') };
}

/** Asks from inside a namespace; answers what came back, or the error's code, `timeout` included. */
export async function ask(namespace: string, protocol: 'tcp' | 'udp', host: string, port: number): Promise<string> {
  const script =
    protocol === 'tcp'
      ? `const s = require('net').connect(${port}, '${host}'); let got = '';
         s.setTimeout(1500, () => { console.log('timeout'); process.exit(); });
         s.on('data', (d) => got += d).on('error', (e) => console.log(e.code)).on('end', () => console.log(got));`
      : `const u = require('dgram').createSocket('${host.includes(':') ? 'udp6' : 'udp4'}');
         u.on('message', (m) => { console.log(String(m)); process.exit(); });
         u.on('error', (e) => { console.log(e.code); process.exit(); });
         u.send('?', ${port}, '${host}'); setTimeout(() => { console.log('timeout'); process.exit(); }, 1500);`;
  const { stdout } = await run(...inside(namespace, script));
  return stdout.trim();
}

function inside(namespace: string, script: string): [string, string[]] {
  const command = [process.execPath, '-e', script];
  return namespace === '' ? [command[0]!, command.slice(1)] : ['nsenter', [`--net=${namespace}`, ...command]];
}
