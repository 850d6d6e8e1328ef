/** A conversation: its turns and settings, and the messages that they become in a request; pure. */

/**
 * @typedef {import("./answer.js").Answer} Answer
 *
 * @typedef {{kind: "user", content: string}} UserTurn
 * @typedef {{kind: "result", callId: string, content: string}} ResultTurn A tool's result.
 *
 * @typedef {object} AnswerTurn
 * @property {"answer"} kind
 * @property {Answer} answer
 * @property {number} chosen The choice with which the conversation goes on.
 * @property {Record<string, any>} request The body that was sent.
 * @property {boolean} stopped By the caller.
 * @property {{message: string, param: string | null, status: number} | null} error
 * @property {number | null} firstToken Ms until the first token.
 * @property {number | null} elapsed Ms until the end; null while it runs.
 * @property {string} requestId
 * @property {string} traceId
 *
 * @typedef {UserTurn | ResultTurn | AnswerTurn} Turn
 *
 * @typedef {object} Settings
 * @property {string} system
 * @property {Record<string, any>} options Of sampling and length: the fields that differ from their defaults.
 * @property {string} tools JSON text: a list of tools; empty for none.
 * @property {string} toolChoice `auto`, `none`, `required` or the name of a function.
 * @property {boolean} parallelCalls
 * @property {"text" | "json_object" | "json_schema"} format
 * @property {string} schema JSON text.
 * @property {boolean} stream
 *
 * @typedef {object} Conversation
 * @property {string} id
 * @property {number} changed Ms since the epoch.
 * @property {Settings} settings
 * @property {Turn[]} turns
 */

/** @returns {Settings} */
export function defaultSettings() {
  return {
    system: "",
    options: {},
    tools: "",
    toolChoice: "auto",
    parallelCalls: true,
    format: "text",
    schema: "",
    stream: true,
  };
}

/**
 * @param {Settings} settings
 * @returns {Conversation}
 */
export function newConversation(settings) {
  // Not randomUUID: browsers have that on https and localhost only.
  return { id: randomHex(16), changed: Date.now(), settings, turns: [] };
}

/**
 * Random bytes in hexadecimal, never all zero.
 *
 * @param {number} bytes
 */
export function randomHex(bytes) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  random[0] |= 1;
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What a list of conversations calls it.
 *
 * @param {Conversation} conversation
 */
export function titleOf(conversation) {
  const first = conversation.turns.find((turn) => turn.kind === "user");
  const words = first?.kind === "user" ? first.content.trim().replace(/\s+/g, " ") : "";
  return words.length > 60 ? `${words.slice(0, 59)}…` : words || "New conversation";
}

/**
 * The messages of a request; an answer that failed, or was stopped before its first word, is left out.
 *
 * @param {Conversation} conversation
 * @returns {Record<string, any>[]}
 */
export function messagesOf({ settings, turns }) {
  const messages = settings.system ? [{ role: "system", content: settings.system }] : [];
  return [...messages, ...turns.flatMap(messageOf)];
}

/**
 * @param {Turn} turn
 * @returns {Record<string, any>[]}
 */
function messageOf(turn) {
  if (turn.kind === "user") return [{ role: "user", content: turn.content }];
  if (turn.kind === "result") return [{ role: "tool", tool_call_id: turn.callId, content: turn.content }];
  const choice = turn.answer.choices[turn.chosen];
  if (!choice || (!choice.content && !choice.calls.length)) return [];
  const message = { role: "assistant", content: choice.content || null };
  return [choice.calls.length ? { ...message, tool_calls: choice.calls } : message];
}

/**
 * The calls of the last turn that wait for their results; none while it is still being answered.
 *
 * @param {Conversation} conversation
 * @returns {import("./answer.js").Call[]}
 */
export function openCalls({ turns }) {
  const last = turns.at(-1);
  if (last?.kind !== "answer" || last.elapsed === null || last.stopped || last.error) return [];
  return last.answer.choices[last.chosen]?.calls ?? [];
}

/**
 * The call that a result belongs to: as for the service, the latest with that id.
 *
 * @param {Conversation} conversation
 * @param {ResultTurn} result
 */
export function callOf({ turns }, result) {
  const before = turns.slice(0, turns.indexOf(result)).flatMap((turn) => (turn.kind === "answer" ? (turn.answer.choices[turn.chosen]?.calls ?? []) : []));
  return before.findLast(({ id }) => id === result.callId);
}
