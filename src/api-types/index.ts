/**
 * The shapes of Docker's Engine API (1.51) and the `Engine` interface that speaks them. The engine implements the interface in process, the client
 * over a socket, the API server translates HTTP to it: all three are held together here. Types and tiny constants, and how sizes are written. Imports oci.
 */
export * from './build-explanation.ts';
export * from './build-warning.ts';
export * from './buildkit.ts';
export * from './engine.ts';
export * from './file-usage.ts';
export * from './image-blame.ts';
export * from './image-comparison.ts';
export * from './image-files.ts';
export * from './rebuild.ts';
export * from './shapes.ts';
export * from './size.ts';
