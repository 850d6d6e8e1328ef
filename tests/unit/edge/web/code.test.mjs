import assert from "node:assert/strict";
import { test } from "node:test";

import { codeOf } from "../../../../edge/endpoints/web/code.js";
import { pythonOf } from "../../../../edge/endpoints/web/python_code.js";

const BODY = {
  model: "m",
  messages: [{ role: "user", content: "It's \"so\"\n$HOME `x`" }],
  top_k: 3,
  seed: -2,
  stream: true,
};
const codes = (/** @type {any} */ body, hasKey = false) =>
  Object.fromEntries(codeOf(body, { origin: "https://host", hasKey }).map(({ title, code }) => [title, code]));

test("a quote inside a shell's quotes is escaped", () => {
  assert.match(codes(BODY).curl, /It'\\''s/);
});

test("a field that OpenAI's package does not know goes into extra_body", () => {
  assert.match(codes(BODY).Python, /extra_body=\{"top_k": 3\}/);
});

test("over gRPC a negative seed is the one that REST makes of it, and -1 is none", () => {
  assert.match(codes(BODY).gRPC, /seed=9223372036854775806/);
  assert.doesNotMatch(codes({ ...BODY, seed: -1 }).gRPC, /seed/);
  assert.match(codes(BODY).gRPC, /secure_channel\("host:443"/);
});

test("a key is never part of the code", () => {
  for (const code of Object.values(codes(BODY, true))) assert.match(code, /KEY/);
});

test("JSON becomes Python's literals", () => {
  assert.equal(pythonOf({ a: [true, false, null, 1.5, "x\ny"] }), '{"a": [True, False, None, 1.5, "x\\ny"]}');
});
