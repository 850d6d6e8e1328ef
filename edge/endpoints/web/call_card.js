/** A tool call as a card; while it waits for its result, that can be typed in. */

import { fit, make } from "./elements.js";
import { RESULT } from "./examples.js";

/** @typedef {import("./answer.js").Call} Call */

const SHORT = 72; // characters that fit into a line

/**
 * @param {Call} call
 * @returns {HTMLElement}
 */
export function callElement(call) {
  const head = make("p", { class: "call-name" }, "calls ", make("strong", {}, call.function.name));
  return make("div", { class: "call" }, head, make("pre", { tabindex: 0, "aria-label": "Arguments" }, pretty(call.function.arguments)));
}

/**
 * A field for the result of each call, and a button that sends them all.
 *
 * @param {Call[]} calls
 * @param {(results: {callId: string, content: string}[]) => void} send
 * @returns {HTMLElement}
 */
export function resultsForm(calls, send) {
  const fields = calls.map((call, at) => {
    const id = `result-${at}`;
    const field = make("textarea", { id, rows: 1, spellcheck: "false", placeholder: RESULT });
    field.addEventListener("input", () => fit(field));
    const label = make("label", { for: id }, "Result of ", make("code", {}, `${call.function.name}(${call.function.arguments})`));
    return { field, element: make("div", { class: "field" }, label, field) };
  });
  const submit = make("button", { class: "primary" }, calls.length > 1 ? "Send results" : "Send result");
  const example = make("button", { type: "button", class: "quiet" }, "Fill in an example");
  example.addEventListener("click", () => fields.forEach(({ field }) => (field.value ||= RESULT)));
  const form = make("form", { class: "results" }, ...fields.map(({ element }) => element), make("div", { class: "actions" }, submit, example));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(calls.map((call, at) => ({ callId: call.id, content: fields[at].field.value })));
  });
  return form;
}

/** @param {string} json */
function pretty(json) {
  try {
    const lines = JSON.stringify(JSON.parse(json), null, 2);
    const line = lines.replace(/\n\s*/g, " "); // those between values: inside a text they are escaped
    return line.length <= SHORT ? line : lines;
  } catch {
    return json; // while it is being written
  }
}
