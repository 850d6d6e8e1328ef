/** The form of everything beside the messages: options, tools, and the form of the answer. */

import { make } from "./elements.js";
import { SCHEMAS, TOOLS } from "./examples.js";
import { clearMark } from "./field_error.js";
import { optionGroups } from "./option_fields.js";
import { OptionsForm } from "./options_form.js";

/** @typedef {import("./conversation.js").Settings} Settings */

export class SettingsForm {
  /**
   * @param {any} document The OpenAPI document.
   * @param {import("./service.js").Model} model
   * @param {() => void} changed
   */
  constructor(document, model, changed) {
    this.options = new OptionsForm(optionGroups(document, model), changed);
    this.system = make("textarea", { id: "system", rows: 2, placeholder: "You are a helpful assistant." });
    this.tools = make("textarea", { id: "tools", rows: 8, spellcheck: "false", placeholder: "[ ]" });
    this.toolChoice = make("select", { id: "tool-choice" });
    this.parallel = make("input", { type: "checkbox", id: "parallel", checked: true });
    this.format = make("select", { id: "format" }, option("text", "text"), option("json_object", "any JSON object"), option("json_schema", "JSON by a schema"));
    this.schema = make("textarea", { id: "schema", rows: 8, spellcheck: "false" });
    this.schemaField = field("Schema", this.schema, examples(SCHEMAS, this.schema));
    this.stream = make("input", { type: "checkbox", id: "stream", checked: true });
    const honours = (/** @type {string} */ name) => model.supported_parameters.includes(name);
    this.element = make(
      "div",
      {},
      group("System prompt", true, field("Instructions for the whole conversation", this.system)),
      this.options.element,
      honours("tools") && group("Tools", false, ...this.toolParts()),
      honours("response_format") && group("Form of the answer", false, field("Form", this.format), this.schemaField),
      group("Delivery", false, checkbox("Stream the answer as it is generated", this.stream)),
    );
    this.element.addEventListener("input", (event) => {
      if (event.target instanceof HTMLElement) clearMark(event.target);
      this.follow();
      changed();
    });
  }

  toolParts() {
    return [
      field("Functions that the model may call", this.tools, examples(TOOLS, this.tools)),
      field("Choice", this.toolChoice),
      checkbox("Several calls in one answer", this.parallel),
    ];
  }

  /** Error if an option cannot be read, which is then marked. @returns {Settings} */
  values() {
    return {
      system: this.system.value,
      options: this.options.values(),
      tools: this.tools.value,
      toolChoice: this.toolChoice.value || "auto",
      parallelCalls: this.parallel.checked,
      format: /** @type {Settings["format"]} */ (this.format.value),
      schema: this.schema.value,
      stream: this.stream.checked,
    };
  }

  /** @param {Settings} settings */
  set(settings) {
    this.system.value = settings.system;
    this.options.set(settings.options);
    this.tools.value = settings.tools;
    this.parallel.checked = settings.parallelCalls;
    this.format.value = settings.format;
    this.schema.value = settings.schema;
    this.stream.checked = settings.stream;
    this.follow(settings.toolChoice);
  }

  /**
   * Show what belongs to what is chosen.
   *
   * @param {string} [choice] Of the tools; by default the one that is chosen.
   */
  follow(choice = this.toolChoice.value) {
    this.schemaField.hidden = this.format.value !== "json_schema";
    const names = ["auto", "none", "required", ...toolNames(this.tools.value)];
    if (names.join() !== [...this.toolChoice.options].map(({ value }) => value).join()) {
      this.toolChoice.replaceChildren(...names.map((name, at) => option(name, at > 2 ? `call ${name}` : name)));
    }
    this.toolChoice.value = names.includes(choice) ? choice : "auto";
  }

  /**
   * The field that an error's `param` names.
   *
   * @param {string} param
   * @returns {HTMLElement | null}
   */
  control(param) {
    const name = /^\w+/.exec(param)?.[0] ?? "";
    const own = { tools: this.tools, tool_choice: this.toolChoice, parallel_tool_calls: this.parallel, response_format: this.schemaOrForm() };
    return own[/** @type {keyof typeof own} */ (name)] ?? this.options.control(name);
  }

  schemaOrForm() {
    return this.schemaField.hidden ? this.format : this.schema;
  }
}

/** @param {string} tools */
function toolNames(tools) {
  try {
    return JSON.parse(tools).map((/** @type {any} */ tool) => tool.function.name).filter(Boolean);
  } catch {
    return []; // while it is being written
  }
}

/**
 * @param {string} title
 * @param {boolean} open
 * @param {...HTMLElement} parts
 */
function group(title, open, ...parts) {
  return make("details", { open }, make("summary", {}, title), make("div", { class: "fields" }, ...parts));
}

/**
 * @param {string} title
 * @param {HTMLElement} control
 * @param {HTMLElement} [beside]
 */
function field(title, control, beside) {
  return make("div", { class: "field" }, make("label", { for: control.id }, title), beside ?? null, control);
}

/**
 * @param {string} title
 * @param {HTMLInputElement} control
 */
function checkbox(title, control) {
  return make("div", { class: "field" }, make("label", { class: "check" }, control, ` ${title}`));
}

/**
 * @param {string} value
 * @param {string} words
 */
function option(value, words) {
  return make("option", { value }, words);
}

/**
 * Buttons that fill a field.
 *
 * @param {Record<string, string>} texts
 * @param {HTMLTextAreaElement} control
 */
function examples(texts, control) {
  const fill = (/** @type {string} */ text) => {
    control.value = text;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const buttons = Object.entries(texts).map(([name, text]) => make("button", { type: "button", class: "quiet", onclick: () => fill(text) }, name));
  const clear = make("button", { type: "button", class: "quiet", onclick: () => fill("") }, "Clear");
  return make("div", { class: "actions" }, make("span", { class: "hint" }, "Examples:"), ...buttons, clear);
}
