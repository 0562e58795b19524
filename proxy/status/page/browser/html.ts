/**
 * HTML from templates, escaped by construction: whatever stands in `${}` is text, unless it was made by `html` itself.
 * @module
 */

/** Markup that `html` has made. */
export class Html {
  constructor(readonly markup: string) {}
}

/** What may stand in a template: text, markup, nothing (`false`, `undefined`), or a list of these. */
export type Part = string | number | Html | false | undefined | readonly Part[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** `text` so that it means itself in an element and in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ESCAPES[letter] ?? '');
}

/** A template tag: the strings are markup, the values are not. */
export function html(strings: readonly string[], ...parts: readonly Part[]): Html {
  return new Html(strings.map((markup, i) => markup + (i < parts.length ? markupOf(parts[i]) : '')).join(''));
}

function markupOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Html) return part.markup;
  if (typeof part === 'object') return part.map(markupOf).join('');
  return escapeHtml(String(part));
}
