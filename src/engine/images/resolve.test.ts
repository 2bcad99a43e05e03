import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRecord } from '#metadata';
import type { EngineContext } from '../context.ts';
import { findImage, resolveImage } from './resolve.ts';

test('the beginning of an ID means an image while it is the only one that begins so', () => {
  const ids = ['ab12', 'ab34', 'c0ffee'];
  const images = {
    byPrefix: (prefix: string) =>
      ids.filter((id) => id.startsWith(prefix)).map((id) => ({ id }) as unknown as ImageRecord),
    byName: () => undefined,
  };
  const ctx = { metadata: { images } } as unknown as EngineContext;
  assert.equal(findImage(ctx, 'c')?.id as string, 'c0ffee');
  assert.equal(findImage(ctx, 'sha256:ab1')?.id as string, 'ab12');
  assert.equal(findImage(ctx, 'ab'), undefined);
  assert.throws(() => resolveImage(ctx, 'ab'), { kind: 'not-found', message: 'No such image: ab:latest' });
});
