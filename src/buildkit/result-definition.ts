import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import { type Definition, DefinitionSchema, OpSchema } from './proto/ops_pb.ts';

const scheme = 'wherry-image://';

/**
 * A result as a build definition, so that a client may hand it to another of its builds (`target:` contexts of bake): one source that names the image, and
 * the operation that ends a definition.
 */
export function definitionOf(image: Digest): Definition {
  const source = { case: 'source' as const, value: { identifier: `${scheme}${image}` } };
  const first = toBinary(OpSchema, create(OpSchema, { kind: source }));
  const digest = `sha256:${createHash('sha256').update(first).digest('hex')}`;
  const last = toBinary(OpSchema, create(OpSchema, { inputs: [{ digest, index: 0n }] }));
  return create(DefinitionSchema, { ops: [first, last], metadata: { [digest]: {} } });
}

/** @throws `not-implemented` for a definition that is none of ours */
export function imageOfDefinition({ ops }: Definition): string {
  const [first] = ops;
  const kind = first ? fromBinary(OpSchema, first).kind : undefined;
  const identifier = kind?.case === 'source' ? kind.value.identifier : '';
  if (identifier.startsWith(scheme)) return identifier.slice(scheme.length);
  throw notOurs();
}

export function notOurs(): EngineError {
  return new EngineError(
    'not-implemented',
    'this builder reads Dockerfiles: build definitions of other frontends (LLB) are not supported',
  );
}
