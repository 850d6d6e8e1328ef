/** What the served model is. */

import { make } from "./elements.js";

/** @typedef {import("./service.js").Model} Model */

/**
 * @param {Model} model
 * @returns {HTMLElement}
 */
export function modelElement(model) {
  const facts = [
    ["Engine", model.engine],
    ["Weights", model.quantization],
    ["Context", `${number(model.context_length)} tokens`],
    ["Longest answer", `${number(Math.min(model.default_max_tokens, model.context_length))} tokens unless set`],
    ...prices(model.pricing),
    ["Tools", model.tool_syntax ? "yes" : "no"],
  ].map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const honoured = make("p", { class: "honoured" }, ...model.supported_parameters.flatMap((name) => [make("code", {}, name), " "]));
  const also = model.aliases.map((alias) => make("p", { class: "hint" }, "also answers to ", make("code", {}, alias)));
  return make(
    "div",
    {},
    make("h1", {}, model.id),
    ...also,
    warning(model),
    make("dl", {}, ...facts),
    make("details", {}, make("summary", {}, `Honours ${model.supported_parameters.length} fields`), honoured),
    make("p", { class: "hint" }, make("code", {}, model.system_fingerprint)),
  );
}

/**
 * A line for what is no real model.
 *
 * @param {Model} model
 */
function warning({ id, engine }) {
  if (engine === "simulated") {
    return make("p", { class: "callout" }, "The simulated engine: its words mean nothing, and serve tests and measurements.");
  }
  if (id !== "chasqui-demo") return null;
  return make(
    "p",
    { class: "callout" },
    "A small demonstration model, not Llama. For a real one, start with ",
    make("code", {}, "make run MODEL=smollm2"),
    " or set ",
    make("code", {}, "CHASQUI_MODEL=org/repo:file.gguf"),
    ".",
  );
}

/**
 * Of a million tokens, by their kinds if those differ.
 *
 * @param {Model["pricing"]} pricing
 * @returns {[string, string][]}
 */
function prices({ prompt, cached_prompt, completion }) {
  if (prompt === completion && prompt === cached_prompt) return [["Price", `$${prompt} per million tokens`]];
  return [
    ["Prompt, per million", `$${prompt}`],
    ["Cached prompt", `$${cached_prompt}`],
    ["Answer", `$${completion}`],
  ];
}

/** @param {number} value */
function number(value) {
  return value.toLocaleString("en-US");
}
