import {
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Index,
  isConfig,
  isDigest,
  type Manifest,
  parseConfig,
  parseTarget,
} from '#oci';
import { readAll } from '#streams';
import type { Exchange } from '../exchange.ts';
import type { Registry } from '../registry.ts';
import { bytes, column, moment, pathOf, shortDigest, table } from './format.ts';
import { type Html, html } from './html.ts';
import { sendPage } from './layout.ts';
import { notFound } from './not-found.ts';
import { platformName } from './repository.ts';

const maxShownConfigBytes = 1 << 20;

/** `/r/<name>/-/<tag or digest>`: platforms of an index; layers, settings and history of an image; what refers to it. */
export async function image(registry: Registry, exchange: Exchange, name: string, reference: string): Promise<void> {
  const { meta } = registry;
  const isAllowed = exchange.access.may('pull', name);
  const digest = isDigest(reference) ? reference : (await meta.tag(name, reference))?.digest;
  const manifest = isAllowed && digest ? await meta.manifest(name, digest) : undefined;
  const text = manifest && (await meta.manifestBytes(manifest.digest));
  if (!manifest || !text) return notFound(exchange);
  const target = parseTarget(text, manifest.mediaType);
  const referrers = await meta.referrers(name, manifest.digest);
  const joined = `${name}${isDigest(reference) ? '@' : ':'}${reference}`;
  const body = html`<nav aria-label="Path"><ul><li><a href="${pathOf(name)}">${name}</a></li></ul></nav>
<h1>${joined}</h1>
<dl><dt>Digest</dt><dd><code>${manifest.digest}</code></dd><dt>Media type</dt><dd>${manifest.mediaType}</dd>
<dt>Pushed</dt><dd>${moment(manifest.pushedMs)}</dd></dl>
<h2>Pull it</h2>
<pre tabindex="0">docker pull ${exchange.url.host}/${joined}</pre>
${target.kind === 'index' ? platforms(name, target.index) : await contents(registry, target.manifest)}
${referrers.length > 0 ? referring(name, referrers) : undefined}`;
  sendPage(exchange, { title: joined, body });
}

function platforms(name: string, { manifests }: Index): Html {
  const rows = manifests.map(
    ({ digest, platform, artifactType, mediaType }) =>
      html`<tr><th scope="row"><a href="${pathOf(name, digest)}">${platform ? platformName(platform) : 'no platform'}</a></th>
<td>${shortDigest(digest)}</td><td>${artifactType ?? mediaType}</td></tr>
`,
  );
  return html`<h2>Platforms</h2>
${table('Platforms', [column('Platform'), column('Digest'), column('Kind')], rows)}`;
}

async function contents({ blobs }: Registry, { config, layers, artifactType }: Manifest): Promise<Html> {
  const rows = layers.map(
    ({ digest, size, mediaType }, at) =>
      html`<tr><th scope="row" class="number">${at + 1}</th><td>${shortDigest(digest)}</td><td class="number">${bytes(size)}</td><td>${mediaType}</td></tr>
`,
  );
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  const head = [column('Layer', 'number'), column('Digest'), column('Size', 'number'), column('Media type')];
  const read = await readConfig(blobs, config);
  return html`<h2>Layers</h2>
<p>${layers.length === 1 ? '1 layer' : `${layers.length} layers`}, ${bytes(total)}${artifactType ? html`, an artifact of type ${artifactType}` : undefined}</p>
${rows.length > 0 ? table('Layers', head, rows) : undefined}
${read ? html`${settings(read)}${history(read)}` : undefined}`;
}

async function readConfig(blobs: Registry['blobs'], config: Descriptor): Promise<ImageConfig | undefined> {
  if (!isConfig(config.mediaType) || config.size > maxShownConfigBytes) return undefined;
  try {
    return parseConfig(await readAll(blobs.open(config.digest), maxShownConfigBytes));
  } catch {
    // An artifact may call anything a config.
    return undefined;
  }
}

function settings({ os, architecture, variant, created, config = {} }: ImageConfig): Html {
  const line = (parts: readonly string[] | null | undefined) => (parts?.length ? parts.join(' ') : undefined);
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Platform', [os, architecture, variant].filter(Boolean).join('/')],
    ['Created', created],
    ['Entrypoint', line(config.Entrypoint)],
    ['Command', line(config.Cmd)],
    ['User', config.User],
    ['Working directory', config.WorkingDir],
    ['Ports', line(Object.keys(config.ExposedPorts ?? {}))],
    ['Volumes', line(Object.keys(config.Volumes ?? {}))],
    ...Object.entries(config.Labels ?? {}),
  ];
  const shown = facts.filter(([, value]) => value);
  return html`<h2>Settings</h2>
<dl>${shown.map(([key, value]) => html`<dt>${key}</dt><dd>${value}</dd>`)}</dl>`;
}

function history({ history: entries = [] }: ImageConfig): Html | undefined {
  if (entries.length === 0) return undefined;
  const rows = entries.map(
    ({ created, created_by, comment }, at) =>
      html`<tr><th scope="row" class="number">${at + 1}</th><td class="wrap"><code>${created_by ?? comment ?? ''}</code></td><td>${created}</td></tr>
`,
  );
  return html`<h2>History</h2>
${table('History', [column('Step', 'number'), column('Made by'), column('Created')], rows)}`;
}

function referring(name: string, referrers: readonly Descriptor[]): Html {
  const rows = referrers.map(
    ({ digest, size, artifactType, mediaType }) =>
      html`<tr><th scope="row"><a href="${pathOf(name, digest as Digest)}">${artifactType ?? mediaType}</a></th><td>${shortDigest(digest)}</td><td class="number">${bytes(size)}</td></tr>
`,
  );
  return html`<h2>Refers to it</h2>
${table('Signatures, bills of materials and the like', [column('Kind'), column('Digest'), column('Size', 'number')], rows)}`;
}
