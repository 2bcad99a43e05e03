/** The daemon's API without a client in between. */
import { HttpClient, parseHost } from '#http';
import { readAll } from '#streams';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** The text as one JSON value. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the daemon says, looked at by the tests
  readonly body: any;
}

export type Ask = (method: string, path: string, body?: object) => Promise<Answer>;

/** Asks in the newest version of the API unless the path begins with another. */
export function apiOf(host: string): Ask {
  const client = new HttpClient(parseHost(host));
  return async (method, path, body) => {
    const headers = { 'Content-Type': 'application/json' };
    const response = await client.request({ method, path, headers, ...(body && { body: JSON.stringify(body) }) });
    const text = (await readAll(response.body, 8 << 20, 'answer')).toString();
    const contentType = String(response.headers['content-type'] ?? '');
    return {
      status: response.status,
      contentType,
      text,
      get body() {
        return JSON.parse(text);
      },
    };
  };
}
