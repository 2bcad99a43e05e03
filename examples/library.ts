/** Docker's engine inside one program: import a base, build, run, push. No daemon. Usage: library.ts ROOT BASE.tar REGISTRY */
import { createReadStream } from 'node:fs';
import { Engine } from 'wherry';
import { fileTar } from './file-tar.ts';

const [root = '', base = '', registry = ''] = process.argv.slice(2);
await using engine = await Engine.open({ root });

for await (const _ of engine.images.import(createReadStream(base), { repo: 'base', changes: ['ENV PATH=/bin'] }));

const image = `${registry}/greeting:1`;
const context = fileTar('Dockerfile', 'FROM base\nRUN echo "made $(uname -s)" > /greeting\nCMD ["cat", "/greeting"]\n');
for await (const line of engine.build(context, { t: [image] })) process.stdout.write(line.stream ?? '');

const { Id } = await engine.containers.create({ Image: image });
await using streams = await engine.containers.attach(Id, { stream: true, stdout: true });
const { result } = await engine.containers.wait(Id, { condition: 'next-exit' });
await engine.containers.start(Id);
for await (const { data } of streams.output) process.stdout.write(data);
console.log('exit status', (await result).StatusCode);
await engine.containers.remove(Id);

for await (const line of engine.images.push(image)) if (line.status?.includes('digest')) console.log(line.status);
