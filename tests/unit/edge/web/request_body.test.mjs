import assert from "node:assert/strict";
import { test } from "node:test";

import { defaultSettings, newConversation, openCalls, titleOf } from "../../../../edge/endpoints/web/conversation.js";
import { optionGroups, rangeOf, textOf, valueOf } from "../../../../edge/endpoints/web/option_fields.js";
import { requestBody, UnreadableField } from "../../../../edge/endpoints/web/request_body.js";

const CALL = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };

/** @param {object} fields @param {any[]} choices */
const answer = (choices, fields = {}) => ({ kind: "answer", chosen: 0, elapsed: 1, stopped: false, error: null, answer: { choices }, ...fields });

test("a conversation becomes messages: of several choices the chosen one, of failures nothing", () => {
  const conversation = newConversation({ ...defaultSettings(), system: "Be brief.", stream: false });
  conversation.turns = /** @type {any} */ ([
    { kind: "user", content: "a" },
    answer([], { error: { message: "no" } }),
    { kind: "user", content: "b" },
    answer([{ content: "x", calls: [] }, { content: "", calls: [CALL] }], { chosen: 1 }),
    { kind: "result", callId: "c", content: "7" },
  ]);
  assert.deepEqual(requestBody(conversation, "m"), {
    model: "m",
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "a" },
      { role: "user", content: "b" },
      { role: "assistant", content: null, tool_calls: [CALL] },
      { role: "tool", tool_call_id: "c", content: "7" },
    ],
  });
  assert.equal(titleOf(conversation), "a");
});

test("settings become fields, and defaults are left out", () => {
  const settings = { ...defaultSettings(), options: { top_k: 4 }, tools: '[{"type":"function"}]', toolChoice: "f", parallelCalls: false };
  const body = requestBody(newConversation({ ...settings, format: "json_schema", schema: "true" }), "m");
  assert.deepEqual(body, {
    ...{ model: "m", messages: [], top_k: 4, tools: [{ type: "function" }], parallel_tool_calls: false },
    tool_choice: { type: "function", function: { name: "f" } },
    response_format: { type: "json_schema", json_schema: { name: "answer", schema: true } },
    ...{ stream: true, stream_options: { include_timings: true } },
  });
});

test("tools and schemas that cannot be read name their field", () => {
  const body = (/** @type {object} */ fields) => () => requestBody(newConversation({ ...defaultSettings(), ...fields }), "m");
  assert.throws(body({ tools: "[{" }), (error) => error instanceof UnreadableField && error.param === "tools");
  assert.throws(body({ tools: "{}" }), (error) => error instanceof UnreadableField && error.param === "tools");
  assert.throws(body({ format: "json_schema", schema: "" }), (error) => error instanceof UnreadableField && error.param === "response_format");
});

test("calls wait for their results only at the end of an answer that succeeded", () => {
  const conversation = newConversation(defaultSettings());
  const ended = answer([{ content: "", calls: [CALL] }]);
  for (const [turns, waiting] of /** @type {[any[], number][]} */ ([
    [[ended], 1],
    [[ended, { kind: "result", callId: "c", content: "" }], 0],
    [[{ ...ended, elapsed: null }], 0],
    [[{ ...ended, stopped: true }], 0],
  ])) {
    conversation.turns = turns;
    assert.equal(openCalls(conversation).length, waiting);
  }
});

const PROPERTIES = {
  temperature: { anyOf: [{ type: "number", minimum: 0, maximum: 2 }, { type: "null" }], default: 1, description: "0 is greedy" },
  top_p: { anyOf: [{ type: "number", exclusiveMinimum: 0, maximum: 1 }, { type: "null" }], default: 1 },
  stop: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }, { type: "null" }] },
  stop_token_ids: { anyOf: [{ type: "array", items: { type: "integer" } }, { type: "null" }] },
  logit_bias: { anyOf: [{ type: "object" }, { type: "null" }] },
  min_tokens: { anyOf: [{ type: "integer", minimum: 0 }, { type: "null" }] },
};

test("options are those that the model honours, with the API's ranges, and their texts are read back", () => {
  const document = { components: { schemas: { ChatCompletionRequest: { properties: PROPERTIES } } } };
  const groups = optionGroups(document, { supported_parameters: Object.keys(PROPERTIES).filter((name) => name !== "min_tokens") });
  const fields = Object.fromEntries(groups.flatMap((group) => group.fields).map((field) => [field.name, field]));
  assert.deepEqual(Object.keys(fields), ["temperature", "top_p", "logit_bias", "stop", "stop_token_ids"]);
  assert.deepEqual([rangeOf(fields.temperature), rangeOf(fields.top_p)], ["0 to 2", "above 0 to 1"]);
  for (const [name, value] of /** @type {[string, any][]} */ ([
    ["temperature", 0.5],
    ["stop", ["a", "b"]],
    ["stop_token_ids", [1, 2]],
    ["logit_bias", { 1: -5 }],
    ["top_p", undefined],
  ])) {
    assert.deepEqual(valueOf(fields[name], textOf(fields[name], value)), value);
  }
  assert.throws(() => valueOf(fields.stop_token_ids, "1, x"));
});
