import { parseTarget } from '#oci';
import type { Exchange } from '../exchange.ts';
import type { Registry } from '../registry.ts';
import { bytes, column, moment, pathOf, shortDigest, table } from './format.ts';
import { type Html, html } from './html.ts';
import { sendPage } from './layout.ts';
import { notFound } from './not-found.ts';

const tagsPerPage = 100;

/** `/r/<name>`: what it is, how to pull it, its tags. */
export async function repository(registry: Registry, exchange: Exchange, name: string): Promise<void> {
  const entry = exchange.access.may('pull', name) ? await registry.meta.entry(name) : undefined;
  if (!entry) return notFound(exchange);
  const after = exchange.url.searchParams.get('after') ?? undefined;
  const tags = await registry.meta.tags(name, { after, limit: tagsPerPage + 1 });
  const shown = tags.slice(0, tagsPerPage);
  const rows = await Promise.all(shown.map((tag) => tagRow(registry, name, tag)));
  const head = [column('Tag'), column('Digest'), column('Platforms'), column('Size', 'number'), column('Pushed')];
  const more =
    tags.length > shown.length
      ? html`<nav aria-label="Pages"><ul><li><a rel="next" href="${pathOf(name)}?${new URLSearchParams({ after: shown.at(-1)! }).toString()}">More tags</a></li></ul></nav>`
      : undefined;
  const body = html`<h1>${name}${entry.isOfficial ? html` <span class="badge">official</span>` : undefined}</h1>
<p>${entry.description}</p>
<p>${entry.stars} stars, ${entry.pulls} pulls, pushed ${moment(entry.pushedMs)}</p>
<h2>Pull it</h2>
<pre tabindex="0">docker pull ${exchange.url.host}/${name}:${shown.includes('latest') ? 'latest' : (shown[0] ?? 'TAG')}</pre>
<h2>Tags</h2>
${rows.length > 0 ? table('Tags', head, rows) : html`<p>No tags.</p>`}
${more}
${entry.readme === '' ? undefined : html`<h2>About</h2><pre class="readme" tabindex="0">${entry.readme}</pre>`}`;
  sendPage(exchange, { title: name, body });
}

async function tagRow(registry: Registry, name: string, tag: string): Promise<Html> {
  const found = await registry.meta.tag(name, tag);
  if (!found) return html``;
  const { platforms, sizeBytes } = await summary(registry, name, found.digest);
  return html`<tr><th scope="row"><a href="${pathOf(name, tag)}">${tag}</a></th><td>${shortDigest(found.digest)}</td>
<td>${platforms}</td><td class="number">${bytes(sizeBytes)}</td><td>${moment(found.updatedMs)}</td></tr>
`;
}

type Digest = Parameters<typeof shortDigest>[0];

/** An index names its platforms; the size is of all that is behind it. */
async function summary(
  { meta }: Registry,
  name: string,
  digest: Digest,
): Promise<{ platforms: string; sizeBytes: number }> {
  const manifest = await meta.manifest(name, digest);
  const text = await meta.manifestBytes(digest);
  if (!manifest || !text) return { platforms: '', sizeBytes: 0 };
  const target = parseTarget(text, manifest.mediaType);
  if (target.kind === 'manifest') {
    const { config, layers } = target.manifest;
    return { platforms: '', sizeBytes: [config, ...layers].reduce((sum, { size }) => sum + size, 0) };
  }
  const platforms = target.index.manifests.flatMap(({ platform }) => (platform ? [platformName(platform)] : []));
  let sizeBytes = 0;
  for (const child of target.index.manifests) {
    const text = await meta.manifestBytes(child.digest);
    const inner = text && parseTarget(text, child.mediaType);
    if (inner?.kind !== 'manifest') continue;
    sizeBytes += [inner.manifest.config, ...inner.manifest.layers].reduce((sum, { size }) => sum + size, 0);
  }
  return { platforms: platforms.filter((name) => !name.startsWith('unknown')).join(', '), sizeBytes };
}

export function platformName({
  os,
  architecture,
  variant,
}: {
  os: string;
  architecture: string;
  variant?: string;
}): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}
