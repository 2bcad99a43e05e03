import type { Dockerfile } from '#dockerfile';

/** Images of the language that is read here: whatever their version, they read the same Dockerfiles. */
const ownLanguage = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/;

/** Whether an image that is named as a frontend (without what follows its name) is one of what is built in. */
export function isOwnLanguage(image: string): boolean {
  return ownLanguage.test(image);
}

/** What a user is told whose Dockerfile asks for another frontend (`# syntax=`) than the one that is built in; undefined when it does not. */
export function otherFrontend({ directives: { syntax } }: Pick<Dockerfile, 'directives'>): string | undefined {
  const image = syntax?.split(' ', 1)[0];
  if (!image || isOwnLanguage(image)) return undefined;
  return `The frontend ${image} is not used: this builder reads the file as a Dockerfile`;
}
