export const contextListingVersion = 1;

/** About two million files. A context with more is sent as a tar. */
export const maxListingBytes = 256 << 20;

/** Linux knows no longer path, but a context may come from elsewhere. */
export const maxPathBytes = 16 << 10;

/** Only a Dockerfile and ignore files travel inside the listing. */
export const maxInlineBytes = 16 << 20;
