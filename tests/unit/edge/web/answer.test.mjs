import assert from "node:assert/strict";
import { test } from "node:test";

import { addChunk, emptyAnswer, timingsOf } from "../../../../edge/endpoints/web/answer.js";
import { readEvents } from "../../../../edge/endpoints/web/event_stream.js";

test("chunks add up to the choices, their calls and the usage", () => {
  const answer = emptyAnswer();
  const call = (/** @type {object} */ fields) => ({ choices: [{ index: 1, delta: { tool_calls: [{ index: 0, ...fields }] } }] });
  addChunk(answer, { model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "" } }] });
  addChunk(answer, { choices: [{ index: 0, delta: { content: "He" } }] });
  addChunk(answer, { choices: [{ index: 0, delta: { content: "llo" }, logprobs: { content: [{ token: "llo", logprob: -1, bytes: [1], top_logprobs: [] }] } }] });
  addChunk(answer, call({ id: "c", type: "function", function: { name: "f", arguments: "" } }));
  addChunk(answer, call({ function: { arguments: '{"a"' } }));
  addChunk(answer, call({ function: { arguments: ":1}" } }));
  addChunk(answer, { choices: [{ index: 0, delta: {}, finish_reason: "stop", stop_reason: "." }], usage: { total_tokens: 3 }, timings: { queue: 1 } });
  assert.equal(answer.choices[0].content, "Hello");
  assert.deepEqual(answer.choices[0].logprobs, [{ token: "llo", logprob: -1, top_logprobs: [] }]);
  assert.equal(answer.choices[0].stopReason, ".");
  assert.deepEqual(answer.choices[1].calls, [{ id: "c", type: "function", function: { name: "f", arguments: '{"a":1}' } }]);
  assert.deepEqual([answer.model, answer.usage, answer.timings], ["m", { total_tokens: 3 }, { queue: 1 }]);
});

test("a whole completion is one chunk", () => {
  const answer = emptyAnswer();
  const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }, { id: "d", type: "function", function: { name: "g", arguments: "{}" } }];
  addChunk(answer, { choices: [{ index: 0, message: { content: null, tool_calls: calls }, finish_reason: "tool_calls" }] });
  assert.deepEqual(answer.choices[0].calls, calls);
});

test("a Server-Timing header becomes its phases", () => {
  assert.deepEqual(timingsOf("queue;dur=0.1, prefill;dur=4.008"), { queue: 0.1, prefill: 4.008 });
  assert.equal(timingsOf(null), null);
});

test("events are read however the stream is cut, and comments are skipped", async () => {
  const bytes = new TextEncoder().encode(': keep-alive\n\ndata: {"a":"ä🏃"}\n\ndata: [DONE]\n\n');
  for (let size = 1; size < 12; size += 1) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const seen = [];
    for await (const data of readEvents(body)) seen.push(data);
    assert.deepEqual(seen, ['{"a":"ä🏃"}', "[DONE]"]);
  }
});
