/** An answer as it grows from the chunks of a stream, or from a whole completion; pure. */

/**
 * @typedef {{id: string, type: "function", function: {name: string, arguments: string}}} Call
 * @typedef {{token: string, logprob: number, top_logprobs: {token: string, logprob: number}[]}} TokenLogprob
 *
 * @typedef {object} Choice
 * @property {string} content
 * @property {Call[]} calls
 * @property {TokenLogprob[]} logprobs Empty unless they were asked for.
 * @property {string | null} finishReason
 * @property {string | null} stopReason The stop text that matched.
 *
 * @typedef {object} Answer
 * @property {Choice[]} choices
 * @property {string} model
 * @property {any} usage Null until it is known.
 * @property {Record<string, number> | null} timings In ms.
 */

/** @returns {Answer} */
export function emptyAnswer() {
  return { choices: [], model: "", usage: null, timings: null };
}

/**
 * Add a chunk, or a whole completion, to an answer.
 *
 * @param {Answer} answer
 * @param {any} chunk
 */
export function addChunk(answer, chunk) {
  answer.model = chunk.model ?? answer.model;
  answer.usage = chunk.usage ?? answer.usage;
  answer.timings = chunk.timings ?? answer.timings;
  for (const one of chunk.choices ?? []) {
    const choice = choiceAt(answer, one.index);
    const delta = one.delta ?? one.message ?? {};
    choice.content += delta.content ?? "";
    (delta.tool_calls ?? []).forEach((/** @type {any} */ call, /** @type {number} */ at) => addCall(choice, call, call.index ?? at));
    if (one.logprobs?.content) choice.logprobs.push(...one.logprobs.content.map(withoutBytes));
    choice.finishReason = one.finish_reason ?? choice.finishReason;
    choice.stopReason = one.stop_reason ?? choice.stopReason;
  }
}

/**
 * The phases of a `Server-Timing` header, in ms.
 *
 * @param {string | null} header
 * @returns {Record<string, number> | null}
 */
export function timingsOf(header) {
  if (!header) return null;
  const phases = header.split(",").map((phase) => /^\s*([\w-]+).*;dur=([\d.]+)/.exec(phase));
  return Object.fromEntries(phases.flatMap((phase) => (phase ? [[phase[1], Number(phase[2])]] : [])));
}

/**
 * @param {Answer} answer
 * @param {number} index
 * @returns {Choice}
 */
function choiceAt(answer, index) {
  while (answer.choices.length <= index) {
    answer.choices.push({ content: "", calls: [], logprobs: [], finishReason: null, stopReason: null });
  }
  return answer.choices[index];
}

/**
 * @param {Choice} choice
 * @param {any} delta
 * @param {number} index
 */
function addCall(choice, delta, index) {
  choice.calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } };
  const call = choice.calls[index];
  call.id += delta.id ?? "";
  call.function.name += delta.function?.name ?? "";
  call.function.arguments += delta.function?.arguments ?? "";
}

/**
 * @param {any} entry
 * @returns {TokenLogprob}
 */
function withoutBytes({ token, logprob, top_logprobs }) {
  return { token, logprob, top_logprobs: top_logprobs.map((/** @type {any} */ one) => ({ token: one.token, logprob: one.logprob })) };
}
