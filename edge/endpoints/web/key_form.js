/** The field for the API key, which stays hidden until a key is needed or asked for. */

import { apiKey, setApiKey } from "./api_key.js";
import { find } from "./elements.js";

/** @param {() => void} changed */
export function keyForm(changed) {
  const form = find("key-form", HTMLFormElement);
  const field = find("key", HTMLInputElement);
  const words = find("key-words", HTMLElement);
  const button = find("key-button", HTMLButtonElement);
  const show = (/** @type {boolean} */ shown) => {
    form.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
    button.textContent = apiKey() ? "Key ✓" : "Key";
    if (shown) field.focus();
  };
  field.value = apiKey();
  show(false);
  button.addEventListener("click", () => show(form.hidden));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setApiKey(field.value.trim());
    show(false);
    changed();
  });
  return {
    /** @param {string} message Why it is needed. */
    ask(message) {
      words.textContent = message;
      show(true);
    },
  };
}
