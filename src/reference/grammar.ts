/** distribution/reference grammar, as regular expressions that match in linear time. Input is bounded before they run. */
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const host = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])`;
const domain = `${host}(?::[0-9]+)?`;
const path = `${component}(?:/${component})*`;
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

/** Groups: domain, path, tag, digest. */
export const referencePattern = new RegExp(`^(?:(${domain})/)?(${path})(?::(${tag}))?(?:@(${digest}))?$`);
export const tagPattern = new RegExp(`^${tag}$`);
export const pathPattern = new RegExp(`^${path}$`);
/** 64 hexadecimal digits are an image ID, never a name. */
export const identifierPattern = /^[a-f0-9]{64}$/;

/** Longest repository path. */
export const maxPathLength = 255;
/** Domain, path, tag and digest together never need more; longer input is refused before a pattern sees it. */
export const maxReferenceLength = 2048;
