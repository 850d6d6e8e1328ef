import assert from "node:assert/strict";
import { test } from "node:test";

import { blocksOf } from "../../../../edge/endpoints/web/markdown.js";

/** A short form of blocks and spans: [type, ...what it holds]. */
const short = (/** @type {any} */ node) => {
  if (Array.isArray(node)) return node.map(short);
  switch (node.type) {
    case "text":
      return node.text;
    case "break":
      return "\n";
    case "code":
      return "language" in node ? ["code", node.language, node.text] : ["code", node.text];
    case "list":
      return [node.start === null ? "ul" : `ol ${node.start}`, ...node.items.map(short)];
    case "table":
      return ["table", short(node.head), ...short(node.rows)];
    case "quote":
      return ["quote", ...short(node.blocks)];
    case "link":
      return ["link", node.href, ...short(node.spans)];
    default:
      return [node.type, ...short(node.spans ?? [])];
  }
};

const CASES = {
  "a paragraph keeps its lines": ["one\ntwo\n\nthree", [["paragraph", "one", "\n", "two"], ["paragraph", "three"]]],
  "emphasis nests": ["a **b *c* d** e", [["paragraph", "a ", ["strong", "b ", ["em", "c"], " d"], " e"]]],
  "three stars are both": ["***x***", [["paragraph", ["strong", ["em", "x"]]]]],
  "a product is no emphasis": ["12 * 7 * 3 and snake_case_name", [["paragraph", "12 * 7 * 3 and snake_case_name"]]],
  "what is not closed is text": ["**a *b", [["paragraph", "**a *b"]]],
  "code holds what it holds": ["`a *b*` and ``c`d``", [["paragraph", ["code", "a *b*"], " and ", ["code", "c`d"]]]],
  "a fence that is not closed goes to the end": ["```js\nlet x\n\n# y", [["code", "js", "let x\n\n# y"]]],
  "a fence may hold a shorter one": ["````\n```\n````", [["code", "", "```"]]],
  "headings, rules and quotes": ["## T\n---\n> q\n> > r", [["heading", "T"], ["rule"], ["quote", ["paragraph", "q"], ["quote", ["paragraph", "r"]]]]],
  "lists nest and number": [
    "1. a\n2. b\n   - c\n\n   d\n",
    [["ol 1", [["paragraph", "a"]], [["paragraph", "b"], ["ul", [["paragraph", "c"]]], ["paragraph", "d"]]]],
  ],
  "a table": ["| a | b |\n|---|:-:|\n| 1 | `x` |", [["table", [["a"], ["b"]], [["1"], [["code", "x"]]]]]],
  "a link and an address": [
    "[x](https://a.b/c_(d)) https://e.f/g.",
    [["paragraph", ["link", "https://a.b/c_(d)", "x"], " ", ["link", "https://e.f/g", "https://e.f/g"], "."]],
  ],
  "a picture is a link: nothing is loaded": ["![p](https://a.b/c.png)", [["paragraph", ["link", "https://a.b/c.png", "p"]]]],
};
for (const [name, [text, expected]] of Object.entries(CASES)) {
  test(name, () => assert.deepEqual(short(blocksOf(/** @type {string} */ (text))), expected));
}

const UNSAFE = [
  ...["[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](data:text/html,<script>alert(1)</script>)", "[x](vbscript:x)"],
  ...["[x](\u0001javascript:alert(1))", "[x](//evil.example)", "[x](file:///etc/passwd)", "![x](blob:https://a/b)", "<javascript:alert(1)>"],
];
for (const text of UNSAFE) {
  test(`no link: ${JSON.stringify(text)}`, () => assert.doesNotMatch(JSON.stringify(blocksOf(text)), /"type":"link"/));
}

const HOSTILE = {
  stars: "*".repeat(50_000),
  openers: "**a ".repeat(20_000),
  brackets: "[".repeat(50_000),
  "half links": "[a](".repeat(20_000),
  "ticks that differ": Array.from({ length: 300 }, (_, at) => `${"`".repeat(at + 1)} `).join(""),
  quotes: "> ".repeat(20_000),
  "nested lists": "- ".repeat(20_000),
  "deep lists": Array.from({ length: 500 }, (_, at) => `${" ".repeat(2 * at)}- x`).join("\n"),
  hashes: `# ${"# ".repeat(30_000)}x`,
  bars: `${"|a".repeat(20_000)}\n${"|-".repeat(20_000)}x`,
  addresses: "https://".repeat(20_000),
};
for (const [name, text] of Object.entries(HOSTILE)) {
  // The time that a quadratic reader would take is minutes; the runner's own limit ends it.
  test(`is read in linear time: ${name}`, { timeout: 10_000 }, () => {
    const blocks = blocksOf(text);
    assert.ok(depth(blocks) < 60, "deep trees overflow the stack of what draws them");
  });
}

/** @param {any} node @returns {number} */
function depth(node) {
  if (typeof node !== "object" || node === null) return 0;
  return 1 + Math.max(0, ...Object.values(node).map(depth));
}
