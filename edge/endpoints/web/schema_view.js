/** Shows the fields of a request as the OpenAPI document has them. */

import { make } from "./elements.js";

/**
 * Words between backticks are code; everything else is text, whatever it holds.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

/**
 * A table of the fields of a schema.
 *
 * @param {any} schema
 */
export function fieldsElement(schema) {
  const titles = make("tr", {}, ...["field", "type", "range", "default", "meaning"].map((title) => make("th", { scope: "col" }, title)));
  const rows = Object.entries(schema.properties).map(([name, field]) => {
    const required = schema.required?.includes(name) ? " required" : "";
    const fallback = field.default === null || field.default === undefined ? "" : String(field.default);
    const cells = [typeOf(field), rangeOf(field), fallback].map((text) => make("td", {}, text));
    return make("tr", {}, make("td", {}, make("code", {}, name), required), ...cells, make("td", {}, ...prose(field.description ?? "")));
  });
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Fields" }, make("table", {}, make("thead", {}, titles), make("tbody", {}, ...rows)));
}

/**
 * @param {any} schema
 * @returns {string}
 */
function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.filter((/** @type {any} */ one) => one.type !== "null").map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  return schema.type === "array" ? `list of ${typeOf(schema.items)}` : (schema.type ?? "any");
}

/** @param {any} schema */
function rangeOf(schema) {
  const ranges = (schema.anyOf ?? [schema]).map((/** @type {any} */ one) => {
    const low = one.exclusiveMinimum !== undefined ? `above ${one.exclusiveMinimum}` : one.minimum;
    if (low !== undefined) return one.maximum === undefined ? `${low} or more` : `${low} to ${one.maximum}`;
    return one.maxItems !== undefined ? `up to ${one.maxItems}` : "";
  });
  return ranges.filter(Boolean).join(", ");
}
