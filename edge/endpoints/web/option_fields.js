/** The options of sampling and length with their ranges, as the API's description and the model have them; pure. */

/**
 * @typedef {object} OptionField
 * @property {string} name
 * @property {"number" | "boolean" | "lines" | "ids" | "json"} kind
 * @property {number | undefined} minimum
 * @property {number | undefined} maximum
 * @property {boolean} exclusive Whether the minimum itself is refused.
 * @property {boolean} integer
 * @property {any} default
 * @property {string} meaning
 */

const GROUPS = /** @type {const} */ ([
  [
    "Sampling",
    ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "logit_bias"],
  ],
  ["Length", ["max_tokens", "min_tokens", "stop", "stop_token_ids", "ignore_eos"]],
  ["Answers", ["n", "logprobs", "top_logprobs"]],
]);

/**
 * Those that the model's engine honours, in groups.
 *
 * @param {any} document The OpenAPI document.
 * @param {{supported_parameters: string[]}} model
 * @returns {{title: string, fields: OptionField[]}[]}
 */
export function optionGroups(document, model) {
  const { properties } = document.components.schemas.ChatCompletionRequest;
  const honoured = (/** @type {string} */ name) => name in properties && model.supported_parameters.includes(name);
  return GROUPS.map(([title, names]) => ({
    title,
    fields: names.filter(honoured).map((name) => fieldOf(name, properties[name])),
  }));
}

/**
 * @param {string} name
 * @param {any} schema
 * @returns {OptionField}
 */
function fieldOf(name, schema) {
  const forms = (schema.anyOf ?? [schema]).filter((/** @type {any} */ form) => form.type !== "null");
  const list = forms.find((/** @type {any} */ form) => form.type === "array");
  const form = list ?? forms[0];
  const exclusive = form.exclusiveMinimum !== undefined;
  return {
    name,
    kind: kindOf(form),
    minimum: exclusive ? form.exclusiveMinimum : form.minimum,
    maximum: form.maximum,
    exclusive,
    integer: form.type === "integer",
    default: schema.default ?? null,
    meaning: schema.description ?? "",
  };
}

/** @param {any} form */
function kindOf(form) {
  if (form.type === "array") return form.items.type === "string" ? "lines" : "ids";
  if (form.type === "object") return "json";
  return form.type === "boolean" ? "boolean" : "number";
}

/**
 * The range in words; empty if there is none that helps.
 *
 * @param {OptionField} field
 */
export function rangeOf({ minimum, maximum, exclusive }) {
  if (minimum === undefined) return "";
  const low = exclusive ? `above ${minimum}` : `${minimum}`;
  if (maximum === undefined) return exclusive ? low : `${low} or more`;
  return Number.isSafeInteger(maximum) || !Number.isInteger(maximum) ? `${low} to ${maximum}` : "any whole number";
}

/**
 * The value that a text stands for; undefined if it is empty. Error if it cannot be read; ranges are the service's.
 *
 * @param {OptionField} field
 * @param {string} text
 */
export function valueOf({ kind, integer }, text) {
  if (!text.trim()) return undefined;
  if (kind === "lines") return text.split("\n").filter(Boolean);
  if (kind === "ids") return text.split(/[\s,]+/).filter(Boolean).map((id) => numberOf(id, true));
  if (kind === "json") return JSON.parse(text);
  return numberOf(text, integer);
}

/**
 * The text that stands for a value.
 *
 * @param {OptionField} field
 * @param {any} value
 */
export function textOf({ kind }, value) {
  if (value === undefined) return "";
  if (kind === "lines") return value.join("\n");
  if (kind === "ids") return value.join(", ");
  return kind === "json" ? JSON.stringify(value) : String(value);
}

/**
 * @param {string} text
 * @param {boolean} integer
 */
function numberOf(text, integer) {
  const value = Number(text);
  if (Number.isNaN(value)) throw new Error(`${text} is no number.`);
  if (integer && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new Error("Browsers read whole numbers up to 9007199254740991.");
  }
  return value;
}
