/** The turns of a conversation: the user's messages, the model's answers, and the results of tools. */

import { callOf, openCalls } from "./conversation.js";
import { resultsForm } from "./call_card.js";
import { ChoiceView } from "./choice_view.js";
import { copyButton, fit, make } from "./elements.js";
import { figuresElement } from "./figures_view.js";

/**
 * @typedef {import("./conversation.js").AnswerTurn} AnswerTurn
 * @typedef {import("./conversation.js").Conversation} Conversation
 *
 * @typedef {object} Actions What a person can do with a turn; each gets its position.
 * @property {(at: number, text: string) => void} edit
 * @property {(at: number) => void} regenerate
 * @property {(at: number, choice: number) => void} choose
 * @property {(at: number) => void} code
 * @property {(results: {callId: string, content: string}[]) => void} results
 * @property {(turn: AnswerTurn) => string} traceUrl Empty if there is no link.
 */

/**
 * @param {Conversation} conversation
 * @param {number} at
 * @param {Actions} actions
 * @returns {{element: HTMLElement, update?: () => void}} `update` shows what has come since.
 */
export function turnView(conversation, at, actions) {
  const turn = conversation.turns[at];
  if (turn.kind === "user") return { element: userElement(turn.content, at, actions) };
  if (turn.kind === "answer") return new AnswerView(conversation, turn, at, actions);
  const body = make("pre", { tabindex: 0, "aria-label": "Result" }, turn.content || "(empty)");
  const call = callOf(conversation, turn)?.function;
  return { element: article("result", at, call ? `Result of ${call.name}(${call.arguments})` : "Result", body) };
}

/**
 * @param {string} kind
 * @param {number} at
 * @param {string} title
 * @param {...HTMLElement} parts
 */
function article(kind, at, title, ...parts) {
  const heading = make("h3", { id: `turn-${at}-title` }, title);
  return make("article", { class: `turn ${kind}`, id: `turn-${at}`, "aria-labelledby": heading.id }, heading, ...parts);
}

/**
 * @param {string} content
 * @param {number} at
 * @param {Actions} actions
 */
function userElement(content, at, actions) {
  const body = make("p", { class: "said" }, content);
  const edit = make("button", { type: "button", class: "quiet" }, "Edit");
  const bar = make("div", { class: "actions" }, edit);
  const element = article("user", at, "You", body, bar);
  edit.addEventListener("click", () => {
    const field = make("textarea", { "aria-label": "Your message", value: content });
    const send = make("button", { class: "primary" }, "Send again");
    const cancel = make("button", { type: "button", class: "quiet" }, "Cancel");
    const form = make("form", {}, field, make("div", { class: "actions" }, send, cancel));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value.trim()) actions.edit(at, field.value);
    });
    field.addEventListener("input", () => fit(field));
    cancel.addEventListener("click", () => {
      form.replaceWith(body);
      bar.hidden = false;
      edit.focus();
    });
    body.replaceWith(form);
    bar.hidden = true;
    fit(field);
    field.focus();
  });
  return element;
}

class AnswerView {
  /**
   * @param {Conversation} conversation
   * @param {AnswerTurn} turn
   * @param {number} at
   * @param {Actions} actions
   */
  constructor(conversation, turn, at, actions) {
    this.conversation = conversation;
    this.turn = turn;
    this.at = at;
    this.actions = actions;
    /** @type {ChoiceView[]} */
    this.choices = [];
    this.columns = make("div", { class: "choices" });
    this.end = make("div", { class: "end" });
    this.waiting = make("p", { class: "waiting" }, "…");
    this.element = article("answer", at, turn.answer.model || turn.request.model, this.waiting, this.columns, this.end);
    this.update();
  }

  update() {
    const { turn } = this;
    const ended = turn.elapsed !== null;
    this.waiting.hidden = ended || turn.answer.choices.some(({ content, calls }) => content || calls.length);
    turn.answer.choices.forEach((choice, index) => {
      const view = (this.choices[index] ??= this.addChoice());
      view.show(choice, ended);
    });
    this.element.setAttribute("aria-busy", String(!ended));
    if (!ended) return;
    if (this.element.firstElementChild && turn.answer.model) this.element.firstElementChild.textContent = turn.answer.model;
    if (turn.answer.choices.length > 1) this.offerChoices();
    this.end.replaceChildren(...this.endParts());
  }

  addChoice() {
    const view = new ChoiceView(this.turn.request);
    this.columns.append(view.element);
    this.columns.classList.toggle("several", this.columns.childElementCount > 1);
    return view;
  }

  /** With several choices, one is what the conversation goes on with. */
  offerChoices() {
    this.choices.forEach((view, index) => {
      view.element.querySelector(".choose")?.remove();
      const chosen = index === this.turn.chosen;
      const radio = make("input", { type: "radio", name: `chosen-${this.at}`, id: `chosen-${this.at}-${index}`, checked: chosen });
      radio.addEventListener("change", () => this.actions.choose(this.at, index));
      view.element.append(make("label", { class: "choose", for: radio.id }, radio, " go on with this one"));
    });
  }

  /** What stands below an answer that has ended. */
  endParts() {
    const { turn, at, actions } = this;
    const isLast = at === this.conversation.turns.length - 1;
    const parts = [];
    if (turn.error) parts.push(make("p", { class: "error" }, sentence(turn.error.message)));
    const open = isLast ? openCalls(this.conversation) : [];
    if (open.length) parts.push(resultsForm(open, actions.results));
    parts.push(figuresElement(turn));
    const chosen = turn.answer.choices[turn.chosen];
    const again = make("button", { type: "button", class: "quiet" }, "Regenerate");
    again.addEventListener("click", () => actions.regenerate(at));
    const code = make("button", { type: "button", class: "quiet" }, "Code");
    code.addEventListener("click", () => actions.code(at));
    const trace = actions.traceUrl(turn);
    const link = trace && make("a", { class: "quiet", href: trace, target: "_blank", rel: "noopener noreferrer" }, "Trace");
    parts.push(make("div", { class: "actions" }, chosen?.content ? copyButton(() => chosen.content) : null, again, code, link || null));
    return parts;
  }
}

/** @param {string} words */
function sentence(words) {
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
