/** The inline part of Markdown: from a text to spans; pure, and linear in the text. HTML stays text. */

/**
 * @typedef {{type: "text", text: string}
 *   | {type: "code", text: string}
 *   | {type: "break"}
 *   | {type: "strong" | "em" | "del", spans: Span[]}
 *   | {type: "link", href: string, spans: Span[]}} Span
 *
 * @typedef {{marker: string, spans: Span[]}} Open A delimiter that is not closed yet, and what follows it.
 */

const MOST_OPEN = 20; // deeper delimiters stay text
const KINDS = /** @type {const} */ ({ "**": "strong", __: "strong", "*": "em", _: "em", "~~": "del" });
const ESCAPE = /\\([!-/:-@[-`{-~])/y;
const TICKS = /`+/y;
const TARGET = /\]\(\s{0,9}<?([^\s()<>]{0,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500}){0,9})>?(?:\s{1,9}"[^"\n]{0,500}")?\s{0,9}\)/y;
const ADDRESS = /https?:\/\/[^\s<>"`]{1,2000}/y;
const DELIMITER = /\*\*|__|~~|\*|_/y;
const PLAIN = /[^\\`![\]*_~h\n]+/y;
// Of every other scheme the text is shown as it stands: javascript: and data: could run.
const SAFE = /^(?:https?:\/\/|mailto:)/i;

/**
 * @param {string} text
 * @returns {Span[]}
 */
export function spansOf(text) {
  return new Inline(text).read();
}

class Inline {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
    /** @type {Open[]} */
    this.open = [{ marker: "", spans: [] }];
    /** @type {Set<number>} Lengths of backtick runs that nothing closes. */
    this.unclosed = new Set();
  }

  read() {
    while (this.at < this.text.length) this.step();
    while (this.open.length > 1) this.flatten();
    return this.open[0].spans;
  }

  /** One construct, or one character. */
  step() {
    const { text, at } = this;
    const character = text[at];
    if (character === "\n") {
      this.add({ type: "break" });
      this.at += 1;
    } else if (character === "\\" && this.match(ESCAPE)) this.words(this.taken[1]);
    else if (character === "`") this.code();
    else if (character === "!" && text[at + 1] === "[") this.begin("![");
    else if (character === "[") this.begin("[");
    else if (character === "]") this.link();
    else if (character === "h" && !/\w/.test(text[at - 1] ?? "") && this.match(ADDRESS)) this.address();
    else if (this.match(DELIMITER)) this.delimiter(this.taken[0]);
    else if (this.match(PLAIN)) this.words(this.taken[0]);
    else this.words(text[this.at++]);
  }

  /**
   * @param {RegExp} pattern
   * @returns {boolean} Whether it matches here; then it has been read, and `taken` is the match.
   */
  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return false;
    this.taken = found;
    this.at = pattern.lastIndex;
    return true;
  }

  /** @type {RegExpExecArray | string[]} */
  taken = [];

  /** @param {Span} span */
  add(span) {
    this.open[this.open.length - 1].spans.push(span);
  }

  /** @param {string} text */
  words(text) {
    const last = this.open[this.open.length - 1].spans.at(-1);
    if (last?.type === "text") last.text += text;
    else this.add({ type: "text", text });
  }

  code() {
    this.match(TICKS);
    const ticks = this.taken[0];
    const end = this.unclosed.has(ticks.length) ? -1 : this.closing(ticks);
    if (end < 0) {
      this.unclosed.add(ticks.length);
      this.words(ticks);
      return;
    }
    const inside = this.text.slice(this.at, end).replaceAll("\n", " ");
    const padded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim();
    this.add({ type: "code", text: padded ? inside.slice(1, -1) : inside });
    this.at = end + ticks.length;
  }

  /**
   * Where the next run of exactly these backticks begins; -1 if there is none.
   *
   * @param {string} ticks
   */
  closing(ticks) {
    for (let at = this.text.indexOf(ticks, this.at); at >= 0; ) {
      let end = at + ticks.length;
      if (this.text[end] !== "`") return at;
      while (this.text[end] === "`") end += 1;
      at = this.text.indexOf(ticks, end);
    }
    return -1;
  }

  /** @param {string} marker */
  begin(marker) {
    this.at += marker.length;
    if (this.open.length > MOST_OPEN) this.words(marker);
    else this.open.push({ marker, spans: [] });
  }

  /** The end of a link, if it has a target and one begins with a bracket. */
  link() {
    const at = this.open.findLastIndex(({ marker }) => marker.endsWith("["));
    if (at < 0 || !this.match(TARGET)) {
      this.at += 1;
      this.words("]");
      return;
    }
    const [whole, href] = this.taken;
    if (!SAFE.test(href)) {
      this.words(whole);
      return;
    }
    while (this.open.length > at + 1) this.flatten();
    const { spans } = /** @type {Open} */ (this.open.pop());
    this.add({ type: "link", href, spans });
  }

  /** An address that stands in the text; a sentence's punctuation is not part of it. */
  address() {
    const href = this.taken[0].replace(/[.,;:!?'*_~)\]]{1,9}$/, "");
    this.at -= this.taken[0].length - href.length;
    this.add({ type: "link", href, spans: [{ type: "text", text: href }] });
  }

  /** @param {string} read */
  delimiter(read) {
    const before = this.text[this.at - read.length - 1] ?? " ";
    const innermost = this.open[this.open.length - 1];
    // Of *** the first one closes what *** has opened last.
    const single = read.length === 2 && innermost.marker === read[0] && innermost.spans.length && this.text[this.at] === read[0];
    const marker = single ? read[0] : read;
    this.at -= read.length - marker.length;
    const after = this.text[this.at] ?? " ";
    const within = marker[0] === "_"; // snake_case is no emphasis
    const closes = !/\s/.test(before) && !(within && /\w/.test(after));
    const opens = !/\s/.test(after) && !(within && /\w/.test(before));
    const at = closes ? this.open.findLastIndex((one) => one.marker === marker) : -1;
    if (at > 0) while (this.open.length > at + 1) this.flatten();
    if (at > 0 && this.open[at].spans.length) {
      const { spans } = /** @type {Open} */ (this.open.pop());
      this.add({ type: KINDS[/** @type {keyof typeof KINDS} */ (marker)], spans });
    } else if (opens && this.open.length <= MOST_OPEN) this.open.push({ marker, spans: [] });
    else this.words(marker);
  }

  /** What was opened last is text: nothing closed it. */
  flatten() {
    const { marker, spans } = /** @type {Open} */ (this.open.pop());
    this.words(marker);
    const [first, ...rest] = spans;
    if (first?.type === "text") this.words(first.text);
    else if (first) this.add(first);
    this.open[this.open.length - 1].spans.push(...rest);
  }
}
