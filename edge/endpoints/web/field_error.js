/** Marks the field that an error names, for eyes and for screen readers. */

import { make } from "./elements.js";

/**
 * @param {HTMLElement} control
 * @param {string} message
 */
export function markField(control, message) {
  clearMark(control);
  const words = make("p", { class: "field-error", id: `${control.id}-error` }, message);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", words.id);
  control.after(words);
  for (let parent = control.parentElement; parent; parent = parent.parentElement) {
    if (parent instanceof HTMLDetailsElement) parent.open = true;
  }
  control.scrollIntoView({ block: "nearest" });
}

/** @param {HTMLElement} control */
export function clearMark(control) {
  control.removeAttribute("aria-invalid");
  control.removeAttribute("aria-describedby");
  document.getElementById(`${control.id}-error`)?.remove();
}

/** All marks of the page. */
export function clearMarks() {
  for (const control of document.querySelectorAll("[aria-invalid]")) clearMark(/** @type {HTMLElement} */ (control));
}
