/** Shows a request as code, in tabs. */

import { codeOf } from "./code.js";
import { make } from "./elements.js";
import { codeElement } from "./markdown_view.js";

/** @typedef {import("./python_code.js").Target} Target */

export class CodeDialog {
  constructor() {
    this.tabs = make("div", { role: "tablist", "aria-label": "Languages", class: "tabs" });
    this.panel = make("div", { role: "tabpanel", id: "code-panel" });
    const close = make("button", { type: "button", class: "quiet", onclick: () => this.element.close() }, "Close");
    const head = make("div", { class: "dialog-head" }, make("h2", { id: "code-title" }, "Code of this call"), close);
    this.element = make("dialog", { class: "code-dialog", "aria-labelledby": "code-title" }, head, this.tabs, this.panel);
    this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    this.tabs.addEventListener("keydown", (event) => this.move(event));
    this.chosen = "curl";
  }

  /**
   * @param {Record<string, any>} body
   * @param {Target} target
   */
  open(body, target) {
    this.forms = codeOf(body, target);
    const buttons = this.forms.map(({ title }) =>
      make("button", { type: "button", role: "tab", id: `tab-${title}`, "aria-controls": "code-panel", onclick: () => this.choose(title) }, title),
    );
    this.tabs.replaceChildren(...buttons);
    this.choose(this.chosen);
    this.element.showModal();
  }

  /** @param {string} title */
  choose(title) {
    this.chosen = title;
    for (const tab of this.tabs.children) {
      const selected = tab.textContent === title;
      tab.setAttribute("aria-selected", String(selected));
      /** @type {HTMLElement} */ (tab).tabIndex = selected ? 0 : -1;
    }
    const form = this.forms?.find((one) => one.title === title);
    if (!form) return;
    this.panel.setAttribute("aria-labelledby", `tab-${title}`);
    const install = form.install ? make("p", { class: "hint" }, make("code", {}, form.install)) : "";
    this.panel.replaceChildren(install, codeElement(form.code, form.language));
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    const tabs = /** @type {HTMLElement[]} */ ([...this.tabs.children]);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = tabs.findIndex((tab) => tab.textContent === this.chosen);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    this.choose(next.textContent ?? "");
    next.focus();
  }
}
