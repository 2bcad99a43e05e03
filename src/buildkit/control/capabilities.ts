/** What of BuildKit's gateway is here; clients ask before they use it. */
export const frontendCapabilities = [
  'solve.base',
  'solve.inlinereturn',
  'return',
  'proto.refarray',
  'importcaches',
  'gateway.evaluate',
  'gateway.solve.evaluate',
  'gateway.solve.metadata',
  'frontend.caps',
  'frontend.inputs',
  'reference.output',
] as const;

/** What of its build definitions: none is run, but clients read here what exporters and sources there are. */
export const definitionCapabilities = [
  'exporter.multiple',
  'exporter.sourcedateepoch',
  'platform',
  'constraints',
  'meta.description',
] as const;
