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
  const reference = operation.requestBody?.content["application/json"].schema.$ref.split("/").pop();
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
  const example = operation.requestBody?.content["application/json"].example;
  const named = operation.parameters?.find((/** @type {any} */ parameter) => parameter.in === "path");
  const body = make("textarea", { rows: 10, spellcheck: "false", "aria-label": "body", value: example ? JSON.stringify(example, null, 2) : "" });
  const value = make("input", { placeholder: named?.name ?? "", "aria-label": named?.name ?? "" });
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
    const target = named ? path.replace(`{${named.name}}`, encodeURIComponent(value.value)) : path;
    const headers = { ...keyHeader(), ...(example && { "content-type": "application/json" }) };
    try {
      const options = { method: method.toUpperCase(), headers, signal: running.signal };
      await show(await fetch(target, example ? { ...options, body: body.value } : options), output);
    } catch (error) {
      output.textContent += `\n${error}`;
    } finally {
      send.disabled = false;
      stop.disabled = true;
    }
  });
  const actions = make("div", { class: "actions" }, send, stop);
  return [make("h2", {}, "Try it"), ...(example ? [body] : []), ...(named ? [value] : []), actions, output];
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
