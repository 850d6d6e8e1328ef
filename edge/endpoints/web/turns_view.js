/** Shows a conversation, and follows an answer while it grows. */

import { make } from "./elements.js";
import { STARTERS } from "./examples.js";
import { turnView } from "./turn_views.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

const NEAR = 80; // pixels from the end at which the view follows it

export class TurnsView {
  /**
   * @param {HTMLElement} element It scrolls, or the whole page does.
   * @param {import("./turn_views.js").Actions} actions
   * @param {(starter: import("./examples.js").Starter) => void} start
   */
  constructor(element, actions, start) {
    this.element = element;
    this.actions = actions;
    this.start = start;
    /** @type {(() => void) | undefined} */
    this.update = undefined;
    this.drawing = 0;
    /** @type {import("./service.js").Model | null} */
    this.model = null; // not known yet
  }

  /** @param {Conversation} conversation */
  show(conversation) {
    const views = conversation.turns.map((_, at) => turnView(conversation, at, this.actions));
    const last = views.at(-1);
    this.update = last?.update && (() => last.update?.());
    this.element.replaceChildren(...(views.length ? views.map(({ element }) => element) : [this.welcome()]));
    this.toEnd();
  }

  /** Draw what has come, at most once a frame. */
  grow() {
    this.drawing ||= requestAnimationFrame(() => this.draw());
  }

  /** Draw it now. */
  draw() {
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    const follows = this.isAtEnd();
    this.update?.();
    if (follows) this.toEnd();
  }

  /** @returns {HTMLElement} What scrolls: this element where columns stand side by side, else the page. */
  get scroller() {
    const scrolls = getComputedStyle(this.element).overflowY === "auto";
    return scrolls ? this.element : /** @type {HTMLElement} */ (document.scrollingElement);
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  welcome() {
    const { model } = this;
    if (!model) return make("div", { class: "welcome" }, make("p", {}, "The service is not ready yet."));
    const cards = STARTERS.filter(({ fits }) => model.chat && (!fits || fits(model))).map((starter) => {
      const words = [make("span", { class: "title" }, starter.title), make("span", {}, starter.message)];
      return make("button", { type: "button", class: "starter", onclick: () => this.start(starter) }, ...words);
    });
    return make("div", { class: "welcome" }, make("h2", {}, `Talk to ${model.id}`), make("div", { class: "starters" }, ...cards));
  }
}
