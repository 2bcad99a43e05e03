import { ApiError } from '../api-error.ts';
import { type Exchange, sendEmpty } from '../exchange.ts';
import type { Registry } from '../registry.ts';
import { home } from './home.ts';
import { image } from './image.ts';
import { sendStyle } from './layout.ts';
import { repository } from './repository.ts';

/** The pages for people. Answers whether the path is one of them. */
export async function site(registry: Registry, exchange: Exchange, path: string): Promise<boolean> {
  if (path === '/') await home(registry, exchange);
  else if (path === '/style.css') sendStyle(exchange);
  else if (path === '/login') logIn(exchange);
  else if (path.startsWith('/r/')) {
    const [name, reference] = splitOnce(path.slice('/r/'.length).replace(/\/$/, ''), '/-/');
    if (reference === undefined) await repository(registry, exchange, name);
    else await image(registry, exchange, name, reference);
  } else return false;
  return true;
}

/** A browser asks for name and password, and sends them with each page from then on. */
function logIn(exchange: Exchange): void {
  if (exchange.access.user === undefined && exchange.access.hasAccounts) {
    throw new ApiError('UNAUTHORIZED', 'authentication required', {
      headers: { 'WWW-Authenticate': 'Basic realm="registry", charset="UTF-8"' },
    });
  }
  sendEmpty(exchange, 303, { Location: '/' });
}

/** No part of a name is a hyphen. */
function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
