/** What an answer took: tokens, cost, speed, and the times of its phases as a bar. */

import { make } from "./elements.js";

/** @typedef {import("./conversation.js").AnswerTurn} AnswerTurn */

const PHASES = ["queue", "tokenize", "prefill", "decode"];

/**
 * @param {AnswerTurn} turn
 * @returns {HTMLElement}
 */
export function figuresElement(turn) {
  const facts = figuresOf(turn).map((words) => make("li", {}, words));
  const { timings } = turn.answer;
  return make("div", { class: "figures" }, make("ul", { "aria-label": "Figures" }, ...facts), timings && bar(timings));
}

/**
 * @param {AnswerTurn} turn
 * @returns {string[]}
 */
export function figuresOf({ answer, firstToken, elapsed, stopped }) {
  const { usage, timings } = answer;
  const figures = [];
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens;
    figures.push(`${usage.prompt_tokens} + ${usage.completion_tokens} tokens${cached ? ` (${cached} cached)` : ""}`);
    figures.push(money(usage.estimated_cost));
  }
  if (firstToken !== null) figures.push(`first token ${milliseconds(firstToken)}`);
  const decode = timings?.decode ?? (elapsed !== null && firstToken !== null ? elapsed - firstToken : 0);
  if (usage?.completion_tokens > 1 && decode > 0) figures.push(`${round((usage.completion_tokens / decode) * 1000)} tokens/s`);
  if (stopped && elapsed !== null) figures.push(`stopped after ${milliseconds(elapsed)}`);
  return figures;
}

/** @param {Record<string, number>} timings */
function bar(timings) {
  const phases = PHASES.filter((phase) => timings[phase] > 0);
  const segments = phases.map((phase) => {
    const segment = make("span", { class: `phase ${phase}` });
    segment.style.flexGrow = String(timings[phase]);
    return segment;
  });
  const legend = phases.map((phase) => make("span", { class: `key ${phase}` }, `${phase} ${milliseconds(timings[phase])}`));
  return make("div", { class: "times" }, make("div", { class: "bar", "aria-hidden": "true" }, ...segments), make("div", { class: "legend" }, ...legend));
}

/** @param {number} dollars */
function money(dollars) {
  if (!dollars) return "$0";
  return `$${dollars < 0.01 ? dollars.toPrecision(2).replace(/e-(\d+)$/, "e-$1") : dollars.toFixed(4)}`;
}

/** @param {number} ms */
function milliseconds(ms) {
  return ms < 1000 ? `${round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} value */
function round(value) {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
