import { STATUS_CODES } from 'node:http';
import type { AttachedStreams } from '#api-types';
import { EngineError, kindOf, messageOf } from '#errdefs';
import { answerHandshake, encodeFrame, parseDetachKeys, WebSocketConnection } from '#http';
import type { ApiRoute, Call } from '../call.ts';
import { isDockerCommand } from '../docker-command.ts';
import { httpStatus } from '../http-status.ts';
import { acceptHijack, joinStreams, rawStream, streamType } from '../streams.ts';
import { checkSeconds } from '../times.ts';

export const containerStreamRoutes: readonly ApiRoute[] = [
  ['GET', '/containers/{name:.*}/logs', logs],
  ['POST', '/containers/{name:.*}/attach', attach],
  ['GET', '/containers/{name:.*}/attach/ws', attachWebSocket],
  ['GET', '/containers/{name:.*}/export', exportFilesystem],
];

async function logs(call: Call): Promise<void> {
  const { query } = call;
  const stdout = query.bool('stdout');
  const stderr = query.bool('stderr');
  if (!stdout && !stderr) {
    throw new EngineError('invalid-argument', 'Bad parameters: you must choose at least one stream');
  }
  const since = query.text('since');
  const until = query.text('until');
  for (const time of [since, until]) if (time !== undefined) checkSeconds(time);
  const tail = query.text('tail');
  const { tty, wire } = await call.engine.containers.logs(call.param('name'), {
    stdout,
    stderr,
    follow: query.bool('follow'),
    timestamps: query.bool('timestamps'),
    details: query.bool('details'),
    // It writes out what a frame holds, with a system call for each; libraries hand their callers a frame as a line.
    ...(isDockerCommand(call.headers) ? { joined: true } : {}),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(tail === undefined ? {} : { tail }),
    signal: call.signal,
  });
  call.start(streamType(call, tty));
  try {
    for await (const chunk of wire) await call.write(chunk);
  } catch (error) {
    if (call.signal.aborted) return;
    const text = `Error grabbing logs: ${messageOf(error)}\n`;
    await call.write(tty ? text : encodeFrame('system', Buffer.from(text)));
  }
  call.end();
}

/** The container is looked at before the connection is taken: a refusal is an answer, though not a JSON one. */
async function attach(call: Call): Promise<void> {
  let attachment: Attachment;
  try {
    attachment = await openAttachment(call);
  } catch (error) {
    await refuseAttach(call, error);
    return;
  }
  await using streams = attachment.streams;
  await using connection = await acceptHijack(call, streams.tty);
  await joinStreams(connection, streams, { tty: streams.tty, ...attachment });
}

async function refuseAttach(call: Call, error: unknown): Promise<void> {
  const status = httpStatus[kindOf(error)];
  await using connection = call.hijack();
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${rawStream}\r\n\r\n`;
  await connection.write(Buffer.from(`${head}${messageOf(error)}\r\n`));
}

interface Attachment {
  readonly streams: AttachedStreams;
  readonly stdin: boolean;
  readonly detachKeys: Uint8Array;
}

async function openAttachment(call: Call): Promise<Attachment> {
  const { query } = call;
  const stdin = query.bool('stdin');
  const detachKeys = parseDetachKeys(query.text('detachKeys'));
  const streams = await call.engine.containers.attach(call.param('name'), {
    stdin,
    stdout: query.bool('stdout'),
    stderr: query.bool('stderr'),
    logs: query.bool('logs'),
    stream: query.bool('stream'),
  });
  return { streams, stdin, detachKeys };
}

/** What is wrong with the container is an answer of the API; what is wrong with the handshake one of the WebSocket's. */
async function attachWebSocket(call: Call): Promise<void> {
  const { streams: attached, ...options } = await openAttachment(call);
  await using streams = attached;
  const { accepted, answer } = answerHandshake(call.headers);
  await using raw = call.hijack();
  await raw.write(Buffer.from(answer));
  if (!accepted) return;
  await using connection = new WebSocketConnection(raw, call.before('1.28') ? 'text' : 'binary');
  await joinStreams(connection, streams, { tty: streams.tty, ...options });
}

async function exportFilesystem(call: Call): Promise<void> {
  const archive = await call.engine.containers.export(call.param('name'), { lend: true, signal: call.signal });
  await call.stream('application/octet-stream', archive);
}
