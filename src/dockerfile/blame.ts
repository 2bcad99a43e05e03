/** Shorter words may stand in a message by accident: they count where the message sets them apart. */
const minLetters = 4;
const setApart = /(?:["'`(]|: |stat |value )$/;
/** Instructions and messages beyond it are looked at in part. */
const maxLooked = 16_384;

/**
 * The words of an instruction that a message is about: the longest that stands in it, be it an argument, a flag, its value or a part of that.
 * Undefined when there is none.
 */
export function blamedWords(message: string, instruction: string): string | undefined {
  const shown = message.slice(0, maxLooked);
  const [keyword = '', ...words] = instruction
    .slice(0, maxLooked)
    .trim()
    .split(/[\s\\]+/);
  const longest = [...new Set(words.flatMap(partsOf))]
    .filter((word) => standsIn(shown, word))
    .sort((a, b) => b.length - a.length)[0];
  return longest ?? (standsIn(shown, keyword) ? keyword : undefined);
}

/** `--mount=type=x,from=y`: itself, `--mount`, its value, `type=x`, `x`, `from=y`, `y`. JSON lists lose their marks. */
function partsOf(word: string): string[] {
  const fields = word.split(/[=,]/);
  const pairs = word.split(',').flatMap((part) => part.replace(/^--[\w-]+=/, ''));
  const value = word.slice(word.indexOf('=') + 1);
  return [word, value, ...pairs, ...fields].map((part) => part.replace(/^[["',]+|[\]"',]+$/g, ''));
}

function standsIn(message: string, word: string): boolean {
  if (word === '') return false;
  const isPart = (character: string | undefined) => character !== undefined && /[\w$-]/.test(character);
  for (let at = message.indexOf(word); at >= 0; at = message.indexOf(word, at + 1)) {
    if (isPart(message[at - 1]) || isPart(message[at + word.length])) continue;
    if (word.length >= minLetters || setApart.test(message.slice(0, at))) return true;
  }
  return false;
}
