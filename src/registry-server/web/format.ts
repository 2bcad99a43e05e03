import type { Digest } from '#oci';
import { type Html, html } from './html.ts';

const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `3.21 MB`, as Docker writes sizes. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** A moment that people and programs can read. */
export function moment(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`;
}

export function shortDigest(digest: Digest): Html {
  return html`<code title="${digest}">${digest.slice(digest.indexOf(':') + 1).slice(0, 12)}</code>`;
}

/** A part of a path: names keep their slashes. */
export function pathOf(name: string, reference?: string): string {
  const part = (text: string) => encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%3A', ':');
  return reference === undefined ? `/r/${part(name)}` : `/r/${part(name)}/-/${part(reference)}`;
}

/** A wide table scrolls by itself, with the keyboard, too. */
export function table(caption: string, head: readonly Html[], rows: readonly Html[]): Html {
  return html`<div class="table" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div>`;
}

export function column(title: string, kind?: 'number'): Html {
  return kind ? html`<th scope="col" class="number">${title}</th>` : html`<th scope="col">${title}</th>`;
}
