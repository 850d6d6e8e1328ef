/** Shows Markdown as elements that it makes itself: whatever the text holds, it makes no other. */

import { copyButton, make } from "./elements.js";
import { blocksOf } from "./markdown.js";

/** Shows a text that grows: blocks that have not changed keep their elements, and with them the reader's selection. */
export class MarkdownView {
  constructor() {
    this.element = make("div", { class: "markdown" });
    /** @type {string[]} */
    this.shown = [];
  }

  /** @param {string} text */
  show(text) {
    const blocks = blocksOf(text);
    const keys = blocks.map((block) => JSON.stringify(block));
    let same = 0;
    while (same < keys.length && keys[same] === this.shown[same]) same += 1;
    while (this.element.childElementCount > same) this.element.lastElementChild?.remove();
    this.element.append(...blocks.slice(same).map(blockElement));
    this.shown = keys;
  }
}

/**
 * @param {import("./markdown.js").Block} block
 * @returns {HTMLElement}
 */
function blockElement(block) {
  switch (block.type) {
    case "heading":
      // Below the headings of the page itself.
      return make(/** @type {"h4"} */ (`h${Math.min(block.level + 2, 6)}`), {}, ...block.spans.map(spanNode));
    case "code":
      return codeElement(block.text, block.language);
    case "quote":
      return make("blockquote", {}, ...block.blocks.map(blockElement));
    case "list": {
      const items = block.items.map((item) => make("li", {}, ...item.map(blockElement)));
      return block.start === null ? make("ul", {}, ...items) : make("ol", { start: block.start }, ...items);
    }
    case "table":
      return tableElement(block.head, block.rows);
    case "rule":
      return make("hr");
    default:
      return make("p", {}, ...block.spans.map(spanNode));
  }
}

/**
 * A block of code with its language and a button that copies it.
 *
 * @param {string} text
 * @param {string} language
 */
export function codeElement(text, language) {
  const head = make("div", { class: "code-head" }, make("span", {}, language || "text"), copyButton(() => text));
  const code = make("pre", { tabindex: 0, role: "region", "aria-label": `Code: ${language || "text"}` }, make("code", {}, text));
  return make("div", { class: "code" }, head, code);
}

/**
 * @param {import("./markdown.js").Span[][]} head
 * @param {import("./markdown.js").Span[][][]} rows
 */
function tableElement(head, rows) {
  const titles = make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, ...cell.map(spanNode))));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, ...cell.map(spanNode)))));
  const table = make("table", {}, make("thead", {}, titles), make("tbody", {}, ...body));
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Table" }, table);
}

/**
 * @param {import("./markdown.js").Span} span
 * @returns {Node}
 */
function spanNode(span) {
  switch (span.type) {
    case "text":
      return document.createTextNode(span.text);
    case "code":
      return make("code", {}, span.text);
    case "break":
      return make("br");
    case "link": {
      const to = { href: span.href, target: "_blank", rel: "noopener noreferrer nofollow", title: span.href };
      return make("a", to, ...span.spans.map(spanNode));
    }
    default:
      return make(span.type, {}, ...span.spans.map(spanNode));
  }
}
