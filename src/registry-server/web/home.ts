import type { Exchange } from '../exchange.ts';
import { wordsOf } from '../hub/search.ts';
import type { Registry } from '../registry.ts';
import type { RepositoryEntry } from '../store/meta-store.ts';
import { column, moment, pathOf, table } from './format.ts';
import { type Html, html } from './html.ts';
import { sendPage } from './layout.ts';

const pageSize = 50;

/** `/`: all repositories, or those that are searched for. */
export async function home({ meta }: Registry, exchange: Exchange): Promise<void> {
  const { searchParams } = exchange.url;
  const query = searchParams.get('q') ?? '';
  const page = Math.max(1, Math.min(1e6, Math.trunc(Number(searchParams.get('page') ?? 1)) || 1));
  const words = wordsOf(query);
  const { total, entries } = await meta.search({
    words,
    offset: (page - 1) * pageSize,
    limit: pageSize,
    isVisible: exchange.access.visible(),
  });
  const title = words.length > 0 ? `Search: ${query}` : 'Repositories';
  const found = `${total} ${total === 1 ? 'repository' : 'repositories'}`;
  const body = html`<h1>${title}</h1>
<p role="status">${found}</p>
${entries.length > 0 ? list(entries) : hint(exchange, words.length > 0)}
${pages(query, page, Math.ceil(total / pageSize))}`;
  sendPage(exchange, { title, body, query });
}

function list(entries: readonly RepositoryEntry[]): Html {
  const head = [
    column('Name'),
    column('Description'),
    column('Stars', 'number'),
    column('Pulls', 'number'),
    column('Pushed'),
  ];
  return table('Repositories', head, entries.map(row));
}

function row({ name, description, isOfficial, stars, pulls, pushedMs }: RepositoryEntry): Html {
  const badge = isOfficial ? html` <span class="badge">official</span>` : undefined;
  return html`<tr><th scope="row"><a href="${pathOf(name)}">${name}</a>${badge}</th><td>${description}</td>
<td class="number">${stars}</td><td class="number">${pulls}</td><td>${moment(pushedMs)}</td></tr>
`;
}

function hint(exchange: Exchange, isSearch: boolean): Html {
  if (isSearch) return html`<p>Nothing has all these words in its name, description or labels.</p>`;
  const host = exchange.url.host;
  return html`<p>Nothing here yet. Push something:</p>
<pre tabindex="0">docker tag IMAGE ${host}/NAME
docker push ${host}/NAME</pre>`;
}

function pages(query: string, page: number, count: number): Html | undefined {
  if (count <= 1) return undefined;
  const to = (number: number) =>
    `/?${new URLSearchParams({ ...(query === '' ? {} : { q: query }), page: `${number}` })}`;
  const previous = page > 1 ? html`<li><a rel="prev" href="${to(page - 1)}">Previous page</a></li>` : undefined;
  const next = page < count ? html`<li><a rel="next" href="${to(page + 1)}">Next page</a></li>` : undefined;
  return html`<nav aria-label="Pages"><ul>${previous}<li aria-current="page">Page ${page} of ${count}</li>${next}</ul></nav>`;
}
