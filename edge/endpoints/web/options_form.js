/** The form of sampling and length options; a field that is empty is not sent. */

import { make } from "./elements.js";
import { clearMark, markField } from "./field_error.js";
import { rangeOf, textOf, valueOf } from "./option_fields.js";

/** @typedef {import("./option_fields.js").OptionField} OptionField */

const MOST_STEPS = 1000; // a slider with more cannot be set by hand

export class OptionsForm {
  /**
   * @param {{title: string, fields: OptionField[]}[]} groups
   * @param {() => void} changed
   */
  constructor(groups, changed) {
    this.changed = changed;
    /** @type {Map<string, Option>} */
    this.options = new Map();
    this.element = make("div", {}, ...groups.filter(({ fields }) => fields.length).map((group) => this.group(group)));
  }

  /** @param {{title: string, fields: OptionField[]}} group */
  group({ title, fields }) {
    const options = fields.map((field) => new Option(field, this.changed));
    for (const option of options) this.options.set(option.field.name, option);
    const body = make("div", { class: "fields" }, ...options.map((option) => option.element));
    return make("details", { open: title === "Sampling" }, make("summary", {}, title), body);
  }

  /** Those that are set; Error if one cannot be read, which is then marked. */
  values() {
    return Object.fromEntries(
      [...this.options].flatMap(([name, option]) => {
        const value = option.value();
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }

  /** @param {Record<string, any>} values */
  set(values) {
    for (const [name, option] of this.options) option.set(values[name]);
  }

  /**
   * @param {string} name
   * @returns {HTMLElement | null}
   */
  control(name) {
    return this.options.get(name)?.input ?? null;
  }
}

class Option {
  /**
   * @param {OptionField} field
   * @param {() => void} changed
   */
  constructor(field, changed) {
    this.field = field;
    const id = `option-${field.name}`;
    this.input = control(field, id);
    this.slider = sliderFor(field);
    this.input.addEventListener("input", () => {
      clearMark(this.input);
      this.showSlider();
      changed();
    });
    this.slider?.addEventListener("input", () => {
      this.input.value = this.slider?.value ?? "";
      clearMark(this.input);
      changed();
    });
    const beside = field.kind === "boolean" ? this.input : make("span", { class: "hint" }, rangeOf(field));
    const head = make("div", { class: "field-head" }, make("label", { for: id }, field.name), beside);
    const hint = make("p", { class: "hint" }, field.meaning.replaceAll("`", ""));
    const row = field.kind !== "boolean" && make("div", { class: this.slider ? "slider-row" : "" }, this.slider, this.input);
    this.element = make("div", { class: "field" }, head, row, hint);
    this.showSlider();
  }

  value() {
    if (this.field.kind === "boolean") return /** @type {HTMLInputElement} */ (this.input).checked || undefined;
    try {
      if (this.input.validity.badInput) throw new Error(`${this.field.name} is no number.`);
      return valueOf(this.field, this.input.value);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      markField(this.input, words);
      throw error;
    }
  }

  /** @param {any} value */
  set(value) {
    if (this.field.kind === "boolean") /** @type {HTMLInputElement} */ (this.input).checked = Boolean(value);
    else this.input.value = textOf(this.field, value);
    clearMark(this.input);
    this.showSlider();
  }

  /** The slider follows the field, and stands at the default while that is empty. */
  showSlider() {
    if (this.slider) this.slider.value = this.input.value || String(this.field.default ?? this.slider.min);
    this.element.classList.toggle("changed", this.field.kind === "boolean" ? /** @type {HTMLInputElement} */ (this.input).checked : this.input.value !== "");
  }
}

/**
 * @param {OptionField} field
 * @param {string} id
 * @returns {HTMLInputElement | HTMLTextAreaElement}
 */
function control(field, id) {
  if (field.kind === "boolean") return make("input", { id, type: "checkbox" });
  if (field.kind === "lines") return make("textarea", { id, rows: 2, placeholder: "one text a line" });
  if (field.kind === "ids") return make("input", { id, placeholder: "ids, separated by commas" });
  if (field.kind === "json") return make("input", { id, placeholder: '{"42": -100}' });
  const placeholder = field.default ?? "default";
  return make("input", { id, type: "number", step: field.integer ? 1 : "any", placeholder });
}

/**
 * A slider for a small range; the number beside it is the field.
 *
 * @param {OptionField} field
 */
function sliderFor({ name, kind, minimum, maximum, exclusive, integer }) {
  if (kind !== "number" || minimum === undefined || maximum === undefined) return null;
  const step = integer ? 1 : 0.05;
  if ((maximum - minimum) / step > MOST_STEPS) return null;
  const min = exclusive || (minimum > 0 && minimum < step) ? step : minimum;
  return make("input", { type: "range", min, max: maximum, step, "aria-label": `${name}, slider` });
}
