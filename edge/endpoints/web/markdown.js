/** Markdown as models write it: from a text to blocks; pure. HTML stays text. */

import { spansOf } from "./markdown_inline.js";

/**
 * @typedef {import("./markdown_inline.js").Span} Span
 *
 * @typedef {{type: "paragraph", spans: Span[]}
 *   | {type: "heading", level: number, spans: Span[]}
 *   | {type: "code", language: string, text: string}
 *   | {type: "quote", blocks: Block[]}
 *   | {type: "list", start: number | null, items: Block[][]}
 *   | {type: "table", head: Span[][], rows: Span[][][]}
 *   | {type: "rule"}} Block
 */

const MOST_DEPTH = 8; // of quotes and lists in each other; deeper ones stay text
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]{0,40})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)[\s#]{0,99}$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?: +|$)/;
const TABLE = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

/**
 * @param {string} text
 * @returns {Block[]}
 */
export function blocksOf(text) {
  return new Blocks(text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n"), 0).read();
}

class Blocks {
  /**
   * @param {string[]} lines
   * @param {number} depth
   */
  constructor(lines, depth) {
    this.lines = lines;
    this.depth = depth;
    this.at = 0;
  }

  read() {
    /** @type {Block[]} */
    const blocks = [];
    while (this.at < this.lines.length) {
      const line = this.lines[this.at];
      if (line.trim()) blocks.push(this.block(line));
      else this.at += 1;
    }
    return blocks;
  }

  /**
   * @param {string} line
   * @returns {Block}
   */
  block(line) {
    const fence = FENCE.exec(line);
    if (fence) return this.code(fence[1], fence[2]);
    const heading = HEADING.exec(line);
    if (heading) {
      this.at += 1;
      return { type: "heading", level: heading[1].length, spans: spansOf(heading[2]) };
    }
    if (RULE.test(line)) {
      this.at += 1;
      return { type: "rule" };
    }
    if (this.depth < MOST_DEPTH && QUOTE.test(line)) return this.quote();
    if (this.depth < MOST_DEPTH && ITEM.test(line)) return this.list();
    if (this.isTable()) return this.table();
    return this.paragraph();
  }

  /**
   * @param {string} fence
   * @param {string} language
   * @returns {Block}
   */
  code(fence, language) {
    const text = [];
    this.at += 1;
    for (; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at].trim();
      if (line.startsWith(fence) && line === fence[0].repeat(line.length)) break;
      text.push(this.lines[this.at]);
    }
    this.at += 1;
    return { type: "code", language, text: text.join("\n") };
  }

  /** @returns {Block} */
  quote() {
    const lines = [];
    for (; this.at < this.lines.length && QUOTE.test(this.lines[this.at]); this.at += 1) {
      lines.push(this.lines[this.at].replace(QUOTE, ""));
    }
    return { type: "quote", blocks: new Blocks(lines, this.depth + 1).read() };
  }

  /** @returns {Block} */
  list() {
    const [, , first] = /** @type {RegExpExecArray} */ (ITEM.exec(this.lines[this.at]));
    const items = [];
    while (this.at < this.lines.length) {
      const begin = ITEM.exec(this.lines[this.at]);
      if (!begin || RULE.test(this.lines[this.at]) || ordered(begin[2]) !== ordered(first)) break;
      items.push(new Blocks(this.item(begin[0].length), this.depth + 1).read());
    }
    return { type: "list", start: ordered(first) ? Number.parseInt(first, 10) : null, items };
  }

  /**
   * The lines of an item, without its marker and indentation.
   *
   * @param {number} width
   */
  item(width) {
    const lines = [this.lines[this.at].slice(width)];
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      const indent = line.length - line.trimStart().length;
      const isBelow = indent >= Math.min(width, 2);
      if (line.trim() && !isBelow && (!lines.at(-1)?.trim() || this.beginsBlock(line))) break;
      lines.push(line.slice(Math.min(indent, width)));
    }
    return lines;
  }

  /** @param {string} line */
  beginsBlock(line) {
    return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
  }

  isTable() {
    const [head, delimiters] = this.lines.slice(this.at, this.at + 2);
    return head.includes("|") && delimiters !== undefined && TABLE.test(delimiters) && delimiters.includes("|");
  }

  /** @returns {Block} */
  table() {
    const head = cellsOf(this.lines[this.at]);
    const rows = [];
    for (this.at += 2; this.at < this.lines.length && this.lines[this.at].includes("|"); this.at += 1) {
      const cells = cellsOf(this.lines[this.at]);
      rows.push(head.map((_, at) => spansOf(cells[at] ?? "")));
    }
    return { type: "table", head: head.map(spansOf), rows };
  }

  /** @returns {Block} */
  paragraph() {
    const lines = [this.lines[this.at].trim()];
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      if (!line.trim() || this.beginsBlock(line) || this.isTable()) break;
      lines.push(line.trim());
    }
    return { type: "paragraph", spans: spansOf(lines.join("\n")) };
  }
}

/** @param {string} marker */
function ordered(marker) {
  return /\d/.test(marker);
}

/** @param {string} line */
function cellsOf(line) {
  return line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}
