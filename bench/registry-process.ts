/**
 * Our registry server until its standard input ends. Usage: registry-process.ts ROOT HOST:PORT [RETENTION]; prints where it listens. RETENTION
 * is JSON, for campaigns that want deleted things to go at once.
 */
import { serveRegistry } from '#registry-server';

const [root = '', addr = '', retention = '{}'] = process.argv.slice(2);
await using registry = await serveRegistry({ root, addr, retention: JSON.parse(retention) });
console.log(registry.address);
for await (const _ of process.stdin);
