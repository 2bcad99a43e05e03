/** Text that is HTML; made only by {@link html}, so that nothing gets into a page unescaped. */
export class Html {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  static from(strings: readonly string[], values: readonly HtmlValue[]): Html {
    return new Html(strings.map((part, at) => (at === 0 ? '' : shown(values[at - 1])) + part).join(''));
  }
}

export type HtmlValue = string | number | Html | readonly Html[] | undefined;

/** A template whose values are escaped, but for HTML in it. `undefined` is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return Html.from(strings, values);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function shown(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replace(/[&<>"']/g, (character) => entities[character]!);
}
