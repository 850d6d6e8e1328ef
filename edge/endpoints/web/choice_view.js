/** One of an answer's choices: Markdown or tokens, tool calls, how it ended, and whether it satisfies its schema. */

import { callElement } from "./call_card.js";
import { make } from "./elements.js";
import { violations } from "./json_schema.js";
import { MarkdownView } from "./markdown_view.js";
import { TokensView } from "./tokens_view.js";

/** @typedef {import("./answer.js").Choice} Choice */

export class ChoiceView {
  /** @param {Record<string, any>} request The body that was sent. */
  constructor(request) {
    this.request = request;
    this.markdown = new MarkdownView();
    this.tokens = new TokensView();
    this.calls = make("div", { class: "calls" });
    this.notes = make("div", { class: "notes" });
    this.element = make("div", { class: "choice" }, this.markdown.element, this.calls, this.notes);
    this.shownCalls = "";
  }

  /**
   * @param {Choice} choice
   * @param {boolean} ended
   */
  show(choice, ended) {
    if (choice.logprobs.length) {
      this.tokens.show(choice.logprobs);
      this.markdown.element.replaceWith(this.tokens.element);
    } else this.markdown.show(this.request.response_format && choice.content ? fenced(choice.content) : choice.content);
    const calls = JSON.stringify(choice.calls);
    if (calls !== this.shownCalls) this.calls.replaceChildren(...choice.calls.map(callElement));
    this.shownCalls = calls;
    if (ended) this.notes.replaceChildren(...notesOn(choice, this.request));
  }
}

/** @param {string} json */
function fenced(json) {
  let text = json;
  try {
    text = JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    // While it is being written, or cut: as it stands.
  }
  return `\`\`\`\`\`json\n${text}\n\`\`\`\`\``;
}

/**
 * @param {Choice} choice
 * @param {Record<string, any>} request
 * @returns {HTMLElement[]}
 */
function notesOn({ content, calls, finishReason, stopReason }, request) {
  const notes = [];
  const schema = request.response_format?.json_schema?.schema;
  if (schema !== undefined && content) notes.push(schemaNote(schema, content));
  if (finishReason === "length") notes.push(make("p", { class: "note" }, "Cut off: max_tokens or the context was used up."));
  if (stopReason !== null) notes.push(make("p", { class: "note" }, "Ended by the stop text ", make("code", {}, String(stopReason))));
  if (finishReason && !content && !calls.length) notes.push(make("p", { class: "note" }, "The answer is empty."));
  return notes;
}

/**
 * @param {any} schema
 * @param {string} content
 */
function schemaNote(schema, content) {
  let found;
  try {
    found = violations(schema, JSON.parse(content));
  } catch {
    found = ["the answer is no complete JSON"];
  }
  if (!found.length) return make("p", { class: "note good" }, "✓ The answer satisfies the schema.");
  return make("p", { class: "note bad" }, `✗ The answer does not satisfy the schema: ${found.slice(0, 5).join("; ")}.`);
}
