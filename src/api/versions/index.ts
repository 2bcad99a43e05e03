/**
 * What answers look like version by version, where a client can see it: compared with a dockerd 28 that was asked in every version from 1.24 to 1.51, and
 * for 1.52 to 1.55 by the Engine API's own history of changes. One file per kind of answer.
 */
export { createFrom, updateFrom } from './container-requests.ts';
export { containerInspectFor, containerStatsFor, containerSummariesFor } from './containers.ts';
export { diskUsageFor } from './disk-usage.ts';
export { EventFormat } from './events.ts';
export { imageInspectFor, imageSummariesFor } from './images.ts';
export { networkInspectFor, networkSummariesFor } from './networks.ts';
export { systemInfoFor } from './system.ts';
export { defaultVersion, isVersionServed, minimumVersion, negotiate, newestVersion, TooOldError } from './version.ts';
