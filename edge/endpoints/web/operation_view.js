/** Shows one operation of the API, with a form that sends it. */

import { keyHeader } from "./api_key.js";
import { make } from "./elements.js";
import { fieldsElement, prose } from "./schema_view.js";

/**
 * @param {any} document The OpenAPI document.
 * @param {string} path
 * @param {string} method
 * @param {any} operation
 */
export function operationElement(document, path, method, operation) {
  const reference = operation.requestBody?.content["application/json"]?.schema.$ref.split("/").pop();
  const parts = formParts(method, path, operation);
  if (reference) parts.push(make("h2", {}, "Fields"), fieldsElement(document.components.schemas[reference]));
  if (operation.description) {
    const paragraphs = operation.description.split("\n\n").map((/** @type {string} */ text) => make("p", {}, ...prose(text)));
    parts.push(make("details", {}, make("summary", {}, "More about the fields"), ...paragraphs));
  }
  const title = make("summary", {}, make("b", {}, method.toUpperCase()), make("code", {}, path), make("span", {}, operation.summary));
  return make("details", { class: "operation" }, title, make("div", {}, ...parts));
}

/**
 * @param {string} method
 * @param {string} path
 * @param {any} operation
 * @returns {HTMLElement[]}
 */
function formParts(method, path, operation) {
  const example = operation.requestBody?.content["application/json"]?.example;
  const form = formFields(operation.requestBody?.content["multipart/form-data"]?.schema);
  /** @type {ParameterField[]} */
  const fields = (operation.parameters ?? []).flatMap(parameterField);
  const body = make("textarea", { rows: 10, spellcheck: "false", "aria-label": "body", value: example ? JSON.stringify(example, null, 2) : "" });
  const output = make("pre", { class: "output", tabindex: 0, role: "region", "aria-label": "Response", hidden: true });
  const send = make("button", { type: "button", class: "primary" }, "Send");
  const stop = make("button", { type: "button", class: "quiet", disabled: true }, "Stop");
  /** @type {AbortController | null} */
  let running = null;
  stop.addEventListener("click", () => running?.abort());
  send.addEventListener("click", async () => {
    running = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    output.hidden = false;
    const headers = { ...keyHeader(), ...(example && { "content-type": "application/json" }) };
    try {
      const options = { method: method.toUpperCase(), headers, signal: running.signal };
      const sent = example ? { body: body.value } : form.length ? { body: formData(form) } : {};
      await show(await fetch(targetOf(path, fields), { ...options, ...sent }), output);
    } catch (error) {
      output.textContent += `\n${error}`;
    } finally {
      send.disabled = false;
      stop.disabled = true;
    }
  });
  const actions = make("div", { class: "actions" }, send, stop);
  const inputs = [...form, ...fields].map(({ input }) => input);
  return [make("h2", {}, "Try it"), ...(example ? [body] : []), ...inputs, actions, output];
}

/** @typedef {{name: string, input: HTMLInputElement}} FormField */

/**
 * The fields of a form that is uploaded: files, and texts, which may have one value.
 *
 * @param {any} schema
 * @returns {FormField[]}
 */
function formFields(schema) {
  return Object.entries(schema?.properties ?? {}).map(([name, { format, enum: values = [""] }]) => {
    const type = format === "binary" ? { type: "file" } : { value: values[0] };
    return { name, input: make("input", { class: "parameter", placeholder: name, "aria-label": name, ...type }) };
  });
}

/** @param {FormField[]} fields */
function formData(fields) {
  const data = new FormData();
  for (const { name, input } of fields) data.append(name, input.files?.[0] ?? input.value);
  return data;
}

/** @typedef {{name: string, place: "path" | "query", input: HTMLInputElement}} ParameterField */

/**
 * A field for a part of the address; headers have none.
 *
 * @param {any} parameter
 * @returns {ParameterField[]}
 */
function parameterField({ name, in: place, description }) {
  if (place !== "path" && place !== "query") return [];
  const words = description ? `${name}: ${description}` : name;
  return [{ name, place, input: make("input", { class: "parameter", placeholder: words, "aria-label": words }) }];
}

/**
 * The address with what the fields hold.
 *
 * @param {string} path
 * @param {ParameterField[]} fields
 */
function targetOf(path, fields) {
  const query = new URLSearchParams();
  let target = path;
  for (const { name, place, input } of fields) {
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(name, input.value);
  }
  return query.size ? `${target}?${query}` : target;
}

/**
 * The text of a response as it comes; every event of a stream is shown as it stands.
 *
 * @param {Response} response
 * @param {HTMLElement} output
 */
async function show(response, output) {
  output.textContent = `HTTP ${response.status}\n`;
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    output.textContent += JSON.stringify(await response.json(), null, 2);
    return;
  }
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    output.textContent += part.value;
    output.scrollTop = output.scrollHeight;
  }
}
