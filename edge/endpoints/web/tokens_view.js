/** Shows an answer's tokens shaded by probability; the candidates of the token under pointer or focus are listed. */

import { make } from "./elements.js";

/** @typedef {import("./answer.js").TokenLogprob} TokenLogprob */

export class TokensView {
  constructor() {
    this.tokens = make("div", { class: "tokens", role: "toolbar", "aria-label": "Tokens: arrow keys show the candidates" });
    this.candidates = make("div", { class: "candidates", role: "status" });
    this.element = make("div", {}, this.tokens, this.candidates);
    this.tokens.addEventListener("keydown", (event) => this.move(event));
    this.candidates.textContent = "Darker tokens were less probable. Point at one to see the candidates.";
  }

  /** @param {TokenLogprob[]} entries */
  show(entries) {
    for (const entry of entries.slice(this.tokens.childElementCount)) this.tokens.append(this.token(entry));
  }

  /** @param {TokenLogprob} entry */
  token(entry) {
    const share = Math.exp(entry.logprob);
    const first = !this.tokens.childElementCount;
    const fields = { type: "button", class: "token", tabindex: first ? 0 : -1, "aria-label": `${shown(entry.token)}, ${percent(share)}` };
    const button = make("button", fields, entry.token);
    button.style.setProperty("--doubt", String(Math.round((1 - share) * 100)));
    const list = () => this.list(entry);
    button.addEventListener("pointerenter", list);
    button.addEventListener("focus", list);
    button.addEventListener("click", list);
    return button;
  }

  /** @param {TokenLogprob} entry */
  list({ token, logprob, top_logprobs }) {
    const others = top_logprobs.filter((one) => one.token !== token);
    const all = [{ token, logprob }, ...others];
    const rows = all.map((one, at) =>
      make("li", { class: at ? "" : "sampled" }, make("code", {}, shown(one.token)), make("span", {}, percent(Math.exp(one.logprob)))),
    );
    this.candidates.replaceChildren(make("ul", {}, ...rows));
  }

  /**
   * One stop for the Tab key, and arrows inside: an answer may have thousands of tokens.
   *
   * @param {KeyboardEvent} event
   */
  move(event) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.tokens.children]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  }
}

/** @param {string} token */
function shown(token) {
  return token.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "(nothing)";
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(share > 0.1 ? 0 : 2)} %`;
}
