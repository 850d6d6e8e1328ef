/** The conversation that is on the page: what is sent, what comes, and what is kept. */

import { addChunk, emptyAnswer, timingsOf } from "./answer.js";
import { newConversation, randomHex } from "./conversation.js";
import { store } from "./conversation_store.js";
import { requestBody } from "./request_body.js";
import { chat, ServiceError } from "./service.js";

/**
 * @typedef {import("./conversation.js").AnswerTurn} AnswerTurn
 * @typedef {import("./conversation.js").Conversation} Conversation
 *
 * @typedef {object} Listener
 * @property {() => void} changed Turns were added or removed.
 * @property {() => void} grew The last answer has more.
 * @property {(turn: AnswerTurn) => void} ended
 */

export class Chat {
  /**
   * @param {Conversation} conversation
   * @param {Listener} listener
   * @param {boolean} traced Whether calls get a trace id, for a link to their trace.
   */
  constructor(conversation, listener, traced) {
    this.conversation = conversation;
    this.listener = listener;
    this.traced = traced;
    this.model = "";
    /** @type {AbortController | null} */
    this.running = null;
  }

  /**
   * Show another conversation, or a new one with the same settings.
   *
   * @param {Conversation} [conversation]
   */
  open(conversation = newConversation(this.conversation.settings)) {
    this.stop();
    this.conversation = conversation;
    for (const turn of conversation.turns) {
      if (turn.kind === "answer" && turn.elapsed === null) Object.assign(turn, { stopped: true, elapsed: 0 }); // the page was closed
    }
    this.listener.changed();
  }

  /**
   * Send a message in place of those from position `at` on.
   *
   * UnreadableField if the settings cannot be sent.
   *
   * @param {string} content
   */
  say(content, at = this.conversation.turns.length) {
    this.replace(at, [{ kind: "user", content }]);
  }

  /** @param {{callId: string, content: string}[]} results */
  giveResults(results) {
    const turns = results.map(({ callId, content }) => /** @type {const} */ ({ kind: "result", callId, content }));
    this.replace(this.conversation.turns.length, turns);
  }

  /**
   * Answer again, in place of the answer at that position and of what follows it.
   *
   * @param {number} at
   */
  regenerate(at) {
    this.replace(at, []);
  }

  /** End the answer that is being generated; what has come stays. */
  stop() {
    this.running?.abort();
    this.running = null;
  }

  /** Store the conversation in this browser. */
  keep(conversation = this.conversation) {
    conversation.changed = Date.now();
    if (conversation.turns.length) store(conversation);
  }

  /**
   * @param {number} at
   * @param {import("./conversation.js").Turn[]} turns
   */
  replace(at, turns) {
    this.stop();
    const before = this.conversation.turns;
    const kept = [...before.slice(0, at), ...turns];
    const request = requestBody({ ...this.conversation, turns: kept }, this.model);
    /** @type {AnswerTurn} */
    const turn = {
      kind: "answer",
      answer: emptyAnswer(),
      chosen: 0,
      request,
      stopped: false,
      error: null,
      firstToken: null,
      elapsed: null,
      requestId: "",
      traceId: this.traced ? randomHex(16) : "",
    };
    this.conversation.turns = [...kept, turn];
    this.keep();
    this.run(turn);
    this.listener.changed();
  }

  /** @param {AnswerTurn} turn */
  async run(turn) {
    const { conversation } = this;
    const running = new AbortController();
    this.running = running;
    const begin = performance.now();
    const headers = this.traced ? { traceparent: `00-${turn.traceId}-${randomHex(8)}-01` } : {};
    try {
      await chat(turn.request, { signal: running.signal, headers: /** @type {Record<string, string>} */ (headers) }, {
        started: (received) => {
          turn.requestId = received.get("x-request-id") ?? "";
          turn.answer.timings = timingsOf(received.get("server-timing"));
        },
        chunk: (chunk) => {
          addChunk(turn.answer, chunk);
          if (turn.request.stream && turn.firstToken === null && hasTokens(turn)) turn.firstToken = performance.now() - begin;
          this.listener.grew();
        },
      });
    } catch (error) {
      if (running.signal.aborted) turn.stopped = true;
      else if (error instanceof ServiceError) turn.error = { message: error.message, param: error.param, status: error.status };
      else turn.error = { message: `The page failed: ${error}`, param: null, status: 0 };
    }
    turn.elapsed = performance.now() - begin;
    if (this.running === running) this.running = null;
    if (!conversation.turns.includes(turn)) return; // another took its place
    this.keep(conversation);
    if (conversation === this.conversation) this.listener.ended(turn);
  }
}

/** @param {AnswerTurn} turn */
function hasTokens({ answer }) {
  return answer.choices.some(({ content, calls }) => content || calls.length);
}
