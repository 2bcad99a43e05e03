/** Our registry server until its standard input ends. Usage: registry-process.ts ROOT HOST:PORT; prints where it listens. */
import { serveRegistry } from '#registry-server';

const [root = '', addr = ''] = process.argv.slice(2);
await using registry = await serveRegistry({ root, addr });
console.log(registry.address);
for await (const _ of process.stdin);
