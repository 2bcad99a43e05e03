/** Devices by name, as vendors describe them in files (Container Device Interface). */
export { cdiDeviceNames, readCdiSpecs } from './registry.ts';
export { cdiEditsOf } from './requests.ts';
export type * from './types.ts';
