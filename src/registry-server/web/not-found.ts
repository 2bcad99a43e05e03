import type { Exchange } from '../exchange.ts';
import { html } from './html.ts';
import { sendPage } from './layout.ts';

export function notFound(exchange: Exchange): void {
  const body = html`<h1>Not found</h1><p>There is no such page here, or it is not for everybody.</p>`;
  sendPage(exchange, { title: 'Not found', body }, 404);
}
