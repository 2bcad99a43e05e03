/** The registry's pages in a browser: what people see, reach by keyboard and hear. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { type Call, pushImage, pushManifest, withServer } from '../../src/registry-server/testsuite/fixture.ts';
import { type Browser, findChromium, startChromium } from '../support/chromium.ts';

const config = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [] },
  config: { Cmd: ['serve', '--port', '80'], Env: [`LONG=${'x'.repeat(300)}`], ExposedPorts: { '80/tcp': {} } },
  history: [{ created: '2026-01-02T03:04:05Z', created_by: 'RUN make all' }],
});

async function stock(call: Call): Promise<void> {
  const annotations = {
    'org.opencontainers.image.description': 'Serves pages',
    'io.wherry.readme': '# Web\n\nStart it.',
  };
  const image = await pushImage(call, 'library/web', 'v1', { config, annotations, layer: 'x'.repeat(123_456) });
  await pushImage(call, 'team/tool', 'latest', { config });
  await pushImage(call, `team/${'long-'.repeat(20)}name`, 'latest', { config });
  const descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(image.text), size: image.text.length };
  const manifests = ['arm', 'amd64'].map((architecture) => ({
    ...descriptor,
    platform: { os: 'linux', architecture },
  }));
  await pushManifest(
    call,
    'library/web',
    'all',
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  );
}

const text = (browser: Browser) => browser.evaluate<string>('document.body.innerText');
const focus = (browser: Browser) =>
  browser.evaluate<string>(`(() => {
    const at = document.activeElement;
    return (at.id || at.ariaLabel || at.innerText || at.tagName).trim();
  })()`);

/** What every page has to do for those who do not look at it, or look at it closely. */
async function assertReadable(browser: Browser, what: string): Promise<void> {
  const nodes = await browser.spoken();
  const named = new Set([
    'link',
    'button',
    'searchbox',
    'textbox',
    'table',
    'heading',
    'columnheader',
    'rowheader',
    'image',
  ]);
  const nameless = nodes.filter(({ role, name }) => named.has(role) && name.trim() === '');
  assert.deepEqual(nameless, [], `${what}: everything has a name`);
  for (const role of ['banner', 'main', 'search'])
    assert.ok(
      nodes.some((node) => node.role === role),
      `${what}: ${role}`,
    );
  const levels = nodes.filter(({ role }) => role === 'heading').map(({ level }) => level!);
  assert.equal(levels.filter((level) => level === 1).length, 1, `${what}: one heading of level 1`);
  assert.ok(
    levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1),
    `${what}: no level is left out: ${levels}`,
  );
  for (const scheme of ['light', 'dark'] as const) {
    await browser.viewport(320, 600, scheme);
    const [needed, there] = await browser.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, innerWidth]',
    );
    assert.ok(needed <= there, `${what}: ${needed} pixels wide on a screen of ${there}`);
    assert.deepEqual(await browser.evaluate(pale), [], `${what}: text stands out from its ground (${scheme})`);
  }
  await browser.viewport(1280, 800, 'light');
}

/** Text whose contrast is below WCAG 2.2's 4.5:1. Colours are those of one pixel painted with them. */
const pale = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const paint = (colors) => {
    canvas.fillStyle = dark ? '#121212' : '#fff';
    canvas.fillRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim()) continue;
    const grounds = [];
    for (let at = node.parentElement; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ground = light(paint(grounds));
    const ink = light(paint([...grounds, getComputedStyle(node.parentElement).color]));
    const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (contrast < 4.5) found.push(node.data.trim() + ' ' + contrast.toFixed(2));
  }
  return found;
})()`;

test('pages in Chromium: seen, read aloud, and used without a mouse or a network', async (t) => {
  const command = findChromium();
  if (command === undefined) return t.skip('chromium is not here');
  await withServer(async ({ call, server }) => {
    await stock(call);
    await using browser = await startChromium(command);
    const origin = `http://${server.address}`;
    const open = async (path: string) => {
      const requested = await browser.open(`${origin}${path}`);
      const elsewhere = requested.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith('data:'));
      assert.deepEqual(elsewhere, [], `${path} asks nobody else`);
      await assertReadable(browser, path);
      return await text(browser);
    };
    assert.match(await open('/'), /3 repositories[\s\S]*library\/web[\s\S]*official[\s\S]*Serves pages/);
    assert.match(await open('/?q=nothing-like-it'), /0 repositories|[Nn]othing/);
    const pull = new RegExp(`docker pull ${server.address}/library/web:(all|v1)`);
    const repository = await open('/r/library/web');
    for (const part of [pull, /all/, /v1/, /linux\/arm/, /linux\/amd64/, /Start it\./]) assert.match(repository, part);
    const image = await open('/r/library/web/-/v1');
    for (const part of [/1 layer, 123\skB/, /linux\/amd64/, /serve --port 80/, /RUN make all/, /80\/tcp/])
      assert.match(image, part);
    assert.match(await open('/r/library/web/-/all'), /linux\/arm/);
    await browser.open(`${origin}/r/none`);
    await assertReadable(browser, 'a page that is not there');

    await browser.open(`${origin}/`);
    const stops: string[] = [];
    for (let at = 0; at < 7; at++) {
      await browser.press('Tab');
      stops.push(await focus(browser));
      const outline = await browser.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
      assert.notEqual(outline, 'none', `${stops.at(-1)}: where the focus is can be seen`);
    }
    assert.deepEqual(stops.slice(0, 6), ['Skip to content', 'Registry', 'q', 'Search', 'Repositories', 'library/web']);
    for (let at = 0; at < 6; at++) await browser.press('Shift+Tab');
    await browser.press('Enter');
    await browser.until("document.activeElement.id === 'content'");
    for (let at = 0; at < 2; at++) await browser.press('Tab');
    assert.equal(await focus(browser), 'library/web', 'the header is skipped');
    await browser.press('Enter');
    await browser.until("location.pathname === '/r/library/web' && document.readyState === 'complete'");

    await browser.open(`${origin}/`);
    for (let at = 0; at < 3; at++) await browser.press('Tab');
    await browser.type('tool');
    await browser.press('Enter');
    await browser.until("location.search === '?q=tool' && document.readyState === 'complete'");
    assert.match(await text(browser), /1 repository[\s\S]*team\/tool/);
  });
});
