/**
 * How one text becomes another by copies and insertions, as a consensus becomes the next one: each node keeps its line, but for a
 * key, a number, or a node that has come or gone. Pure; texts are latin-1, a byte a letter.
 *
 * Both are cut into words. From where the last copy ended, a match is looked for a little ahead; a word that stands once in the old
 * text is found wherever it is; what was inserted before is found again.
 * @module
 */

/** One step: `length` bytes from `from` of the old text and what has been made behind it, or `text` itself. */
export type TextEdit = { readonly from: number; readonly length: number } | { readonly text: string };

/** Words behind the end of the last copy in which the next one is looked for: about a node and its keys. */
const LOOK_AHEAD_WORDS = 64;
/** A shorter copy saves nothing, or leads away from where the texts agree. */
const MIN_COPY_BYTES = 16;

/** Words with where each begins, and where the last ends. */
interface Words {
  readonly words: readonly string[];
  readonly starts: readonly number[];
}

/** The edits that make `target` of `base`, in order. */
export function editsBetween(base: string, target: string): TextEdit[] {
  const old = wordsOf(base);
  const made = wordsOf(target);
  const once = placesOfUnique(old.words);
  const inserted = new Map<string, number>();
  const edits: TextEdit[] = [];
  let expected = 0;
  for (let at = 0; at < made.words.length; ) {
    const word = made.words[at] as string;
    const ahead = copyAhead(old, made, expected, at) ?? copyFrom(old, once.get(word), made, at);
    const again = ahead === undefined ? copyFrom(made, inserted.get(word), made, at) : undefined;
    const copy = ahead ?? again;
    if (copy === undefined) {
      edits.push({ text: word });
      inserted.set(word, at);
      at += 1;
      continue;
    }
    edits.push({ from: copy.from + (ahead === undefined ? base.length : 0), length: copy.length });
    if (ahead !== undefined) expected = ahead.endWord;
    at += copy.words;
  }
  return joined(edits);
}

interface Copy {
  readonly from: number;
  readonly length: number;
  readonly words: number;
  readonly endWord: number;
}

/** The first match of what stands at `at` from `expected` on. */
function copyAhead(old: Words, made: Words, expected: number, at: number): Copy | undefined {
  const end = Math.min(old.words.length, expected + LOOK_AHEAD_WORDS);
  for (let place = expected; place < end; place++) {
    const copy = copyFrom(old, place, made, at);
    if (copy !== undefined) return copy;
  }
  return undefined;
}

/** The words of `source` from `place` on that agree with those of `made` from `at` on. */
function copyFrom(source: Words, place: number | undefined, made: Words, at: number): Copy | undefined {
  if (place === undefined || source.words[place] !== made.words[at]) return undefined;
  const most = Math.min(source === made ? at - place : Infinity, source.words.length - place);
  let words = 1;
  while (words < most && source.words[place + words] === made.words[at + words]) words += 1;
  const from = source.starts[place] as number;
  const endWord = place + words;
  const length = (source.starts[endWord] as number) - from;
  return length < MIN_COPY_BYTES ? undefined : { from, length, words, endWord };
}

function wordsOf(text: string): Words {
  const words = text.match(/\w+|\W+/g) ?? [];
  const starts = [0];
  for (const word of words) starts.push((starts.at(-1) ?? 0) + word.length);
  return { words, starts };
}

/** Where the words stand that stand only once. */
function placesOfUnique(words: readonly string[]): Map<string, number | undefined> {
  const places = new Map<string, number | undefined>();
  words.forEach((word, place) => {
    places.set(word, places.has(word) ? undefined : place);
  });
  return places;
}

/** Insertions that follow one another as one, and copies of what lies side by side. */
function joined(edits: readonly TextEdit[]): TextEdit[] {
  const out: TextEdit[] = [];
  for (const edit of edits) {
    const last = out.at(-1);
    if (last !== undefined && 'text' in last && 'text' in edit) out[out.length - 1] = { text: last.text + edit.text };
    else if (last !== undefined && 'from' in last && 'from' in edit && last.from + last.length === edit.from) {
      out[out.length - 1] = { from: last.from, length: last.length + edit.length };
    } else out.push(edit);
  }
  return out;
}
