import { type Exchange, sendText } from '../exchange.ts';
import { type Html, html } from './html.ts';

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** What the search field holds. */
  readonly query?: string;
}

/** Nothing comes from elsewhere and nothing runs: pages are text. */
const headers = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
};

export function sendPage(exchange: Exchange, page: Page, status = 200): void {
  sendText(exchange, status, documentOf(page, exchange).text, {
    ...headers,
    'Content-Type': 'text/html; charset=utf-8',
  });
}

function documentOf({ title, body, query }: Page, exchange: Exchange): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header>
<a class="home" href="/">Registry</a>
<form role="search" action="/" method="get">
<label for="q">Search repositories</label>
<input id="q" name="q" type="search" value="${query ?? ''}" autocomplete="off" spellcheck="false">
<button type="submit">Search</button>
</form>
${account(exchange)}
</header>
<main id="content" tabindex="-1">
${body}
</main>
</body>
</html>
`;
}

function account({ access }: Exchange): Html | undefined {
  if (access.user !== undefined) return html`<span>Logged in as ${access.user}</span>`;
  return access.hasAccounts ? html`<a href="/login">Log in</a>` : undefined;
}

export function sendStyle(exchange: Exchange): void {
  sendText(exchange, 200, style, { 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'max-age=3600' });
}

const style = `
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --link: light-dark(#0a58a6, #7ab7ff); }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; border-bottom: 1px solid var(--line); }
form { display: flex; flex: 1; flex-wrap: wrap; gap: .5rem; align-items: center; justify-content: flex-end; }
input, button { font: inherit; padding: .3rem .6rem; border: 1px solid #888; border-radius: .3rem; }
a { color: var(--link); }
a.home { font-weight: bold; font-size: 1.2rem; text-decoration: none; }
a:focus-visible, input:focus-visible, button:focus-visible, pre:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: Canvas; padding: .5rem; }
main:focus { outline: none; }
h1 { overflow-wrap: anywhere; margin-bottom: .2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.wrap { overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; border-radius: .3rem; }
pre.readme { white-space: pre-wrap; overflow-wrap: anywhere; }
.badge { border: 1px solid currentColor; border-radius: .3rem; padding: 0 .4rem; font-size: .8rem; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
nav ul { list-style: none; display: flex; gap: 1rem; padding: 0; }
`;
