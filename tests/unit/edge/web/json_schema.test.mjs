import assert from "node:assert/strict";
import { test } from "node:test";

import { violations } from "../../../../edge/endpoints/web/json_schema.js";

const PERSON = { type: "object", properties: { age: { type: "integer", minimum: 0 }, tags: { type: "array", items: { type: "string" } } }, required: ["age"] };
const TREE = { $ref: "#/$defs/node", $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } } };

/** @type {[any, any, string[]][]} */
const CASES = [
  [PERSON, { age: 3, tags: ["a"] }, []],
  [PERSON, { age: 3.5 }, ["answer.age must be integer"]],
  [PERSON, { age: -1, tags: [1] }, ["answer.age must be at least 0", "answer.tags[0] must be string"]],
  [PERSON, {}, ["answer.age is missing"]],
  [PERSON, { age: 1, more: 1 }, ["answer.more must not be there"]],
  [{ ...PERSON, additionalProperties: true }, { age: 1, more: 1 }, []],
  [{ enum: ["a", { b: 1 }] }, { b: 1 }, []],
  [{ const: 1 }, 2, ["answer must be 1"]],
  [{ type: ["string", "null"] }, null, []],
  [{ type: "string", minLength: 2, pattern: "^a" }, "🏃", ["answer must be at least 2 characters", "answer must be a text that matches ^a"]],
  [{ anyOf: [{ type: "string" }, { type: "number" }] }, true, ["answer must be as one of anyOf says"]],
  [{ oneOf: [{ type: "integer" }, { type: "number" }] }, 1, ["answer must be as exactly one of oneOf says"]],
  [{ not: { type: "string" } }, "a", ["answer must be other than not says"]],
  [{ prefixItems: [{ type: "string" }], items: { type: "number" } }, ["a", 1], []],
  [TREE, { next: { next: { other: 1 } } }, ["answer.next.next.other must not be there"]],
  [{ $ref: "#" }, 1, []],
  [false, 1, ["answer must not be there"]],
  [{ pattern: "(" }, "a", []],
];
for (const [schema, value, expected] of CASES) {
  test(`${JSON.stringify(value)} by ${JSON.stringify(schema)}`, () => assert.deepEqual(violations(schema, value), expected));
}
