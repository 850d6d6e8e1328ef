/** A chat request as code: what was sent, for curl, Python, Node.js and gRPC; pure. */

import { grpcCode, openaiCode } from "./python_code.js";

/** @typedef {import("./python_code.js").Target} Target */

/**
 * Title, language and code of each form.
 *
 * @param {Record<string, any>} body
 * @param {Target} target
 * @returns {{title: string, language: string, install: string, code: string}[]}
 */
export function codeOf(body, target) {
  return [
    { title: "curl", language: "sh", install: "", code: curlCode(body, target) },
    { title: "Python", language: "python", install: "pip install openai", code: openaiCode(body, target) },
    { title: "Node.js", language: "js", install: "npm install openai", code: nodeCode(body, target) },
    { title: "gRPC", language: "python", install: "pip install ./proto (in Chasqui's repository)", code: grpcCode(body, target) },
  ];
}

/**
 * @param {Record<string, any>} body
 * @param {Target} target
 */
function curlCode(body, { origin, hasKey }) {
  const quoted = `'${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`;
  const key = hasKey ? " -H 'Authorization: Bearer KEY'" : "";
  const unbuffered = body.stream ? "-N " : "";
  return `curl ${unbuffered}${origin}/v1/chat/completions -H 'Content-Type: application/json'${key} \\\n  -d ${quoted}\n`;
}

/**
 * @param {Record<string, any>} body
 * @param {Target} target
 */
function nodeCode(body, { origin, hasKey }) {
  const begin = `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(`${origin}/v1`)}, apiKey: ${hasKey ? '"KEY"' : '"unused"'} });
`;
  const call = `await client.chat.completions.create(${JSON.stringify(body, null, 2)})`;
  const end = body.stream
    ? `for await (const chunk of ${call}) {
  for (const { delta } of chunk.choices) process.stdout.write(delta.content ?? JSON.stringify(delta.tool_calls ?? ""));
}`
    : `const completion = ${call};
for (const { message } of completion.choices) console.log(message.content ?? message.tool_calls);`;
  return `${begin}${end}\n`;
}
