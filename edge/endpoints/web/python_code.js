/** A chat request as Python: values as literals, and the calls of the `openai` package and of gRPC; pure. */

/**
 * @typedef {object} Target
 * @property {string} origin As https://host:8080.
 * @property {boolean} hasKey Whether calls need a key.
 */

const KNOWN = new Set([
  ...["model", "messages", "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "max_tokens"],
  ...["stop", "n", "logprobs", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stream"],
  "stream_options",
]);
const ROLES = /** @type {Record<string, string>} */ ({ system: "SYSTEM", user: "USER", assistant: "ASSISTANT", tool: "TOOL" });
const SAMPLING = [
  ...["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed"],
  "logit_bias",
];
const SAME = ["max_tokens", "min_tokens", "stop", "stop_token_ids", "ignore_eos", "n", "logprobs", "top_logprobs"];

/** Source text that stands for itself, among values. */
class Source {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * The request with the `openai` package; fields that it does not know go into `extra_body`.
 *
 * @param {Record<string, any>} body
 * @param {Target} target
 */
export function openaiCode(body, { origin, hasKey }) {
  const known = Object.entries(body).filter(([name]) => KNOWN.has(name));
  const others = Object.entries(body).filter(([name]) => !KNOWN.has(name));
  const fields = others.length ? [...known, ["extra_body", Object.fromEntries(others)]] : known;
  const call = source("client.chat.completions.create", Object.fromEntries(fields)).text;
  const end = body.stream
    ? `for chunk in ${call}:
    for choice in chunk.choices:
        print(choice.delta.content or choice.delta.tool_calls or "", end="", flush=True)`
    : `completion = ${call}
for choice in completion.choices:
    print(choice.message.content or choice.message.tool_calls)`;
  return `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=${hasKey ? '"KEY"' : '"unused"'})
${end}
`;
}

/**
 * The request over gRPC, with the package chasqui-client.
 *
 * @param {Record<string, any>} body
 * @param {Target} target
 */
export function grpcCode(body, { origin, hasKey }) {
  const { host, protocol } = new URL(origin);
  const address = host.includes(":") ? host : `${host}:${protocol === "https:" ? 443 : 80}`;
  const channel = protocol === "https:" ? `secure_channel("${address}", grpc.ssl_channel_credentials())` : `insecure_channel("${address}")`;
  const key = hasKey ? ', metadata=[("authorization", "Bearer KEY")]' : "";
  const call = body.stream
    ? `    for message in stub.StreamChat(chat_service_pb2.StreamChatRequest(chat=request)${key}):
        for event in message.events:
            print(event.delta.content or event.delta.tool_calls or "", end="", flush=True)`
    : `    for choice in stub.Chat(request${key}).choices:
        print(choice.message)`;
  return `import grpc
from chasqui.v1 import chat_pb2, chat_service_pb2, chat_service_pb2_grpc, tool_pb2

request = ${source("chat_service_pb2.ChatRequest", requestFields(body)).text}
with grpc.${channel} as channel:
    stub = chat_service_pb2_grpc.ChatServiceStub(channel)
${call}
`;
}

/**
 * The fields of a ChatRequest.
 *
 * @param {Record<string, any>} body
 */
function requestFields(body) {
  const sampling = picked(body, SAMPLING);
  if (sampling.logit_bias) {
    const pairs = Object.entries(sampling.logit_bias).map(([id, bias]) => `${id}: ${pythonOf(bias)}`);
    sampling.logit_bias = new Source(`{${pairs.join(", ")}}`);
  }
  // As the REST API reads them: -1 is a random one, and the other negative ones are positive over gRPC.
  if (sampling.seed === -1) delete sampling.seed;
  else if (sampling.seed < 0) sampling.seed = new Source(String(BigInt(sampling.seed) + 2n ** 63n));
  return defined({
    model: body.model,
    messages: body.messages.map(message),
    sampling: Object.keys(sampling).length ? source("chat_pb2.SamplingOptions", sampling) : undefined,
    ...picked(body, SAME),
    tools: body.tools?.map(tool),
    tool_choice: toolChoice(body.tool_choice),
    parallel_tool_calls: body.parallel_tool_calls,
    response_format: responseFormat(body.response_format),
  });
}

/** @param {any} given */
function message({ role, content, tool_calls, tool_call_id }) {
  return source(
    "chat_pb2.Message",
    defined({
      role: new Source(`chat_pb2.ROLE_${ROLES[role]}`),
      content: content ? [source("chat_pb2.ContentPart", { text: content })] : undefined,
      tool_calls: tool_calls?.map(toolCall),
      tool_call_id,
    }),
  );
}

/** @param {import("./answer.js").Call} call */
function toolCall({ id, function: { name, arguments: given } }) {
  return source("tool_pb2.ToolCall", { id, function: source("tool_pb2.FunctionCall", { name, arguments: given }) });
}

/** @param {any} given */
function tool({ function: { name, description, parameters, strict } }) {
  const schema = parameters === undefined ? undefined : JSON.stringify(parameters);
  const fields = defined({ name, description, parameters_json: schema, strict });
  return source("tool_pb2.Tool", { function: source("tool_pb2.FunctionTool", fields) });
}

/** @param {any} choice */
function toolChoice(choice) {
  if (choice === undefined) return undefined;
  if (typeof choice !== "string") return source("tool_pb2.ToolChoice", { function_name: choice.function.name });
  return source("tool_pb2.ToolChoice", { mode: new Source(`tool_pb2.TOOL_CHOICE_MODE_${choice.toUpperCase()}`) });
}

/** @param {any} format */
function responseFormat(format) {
  if (format === undefined) return undefined;
  if (format.type === "json_object") return source("chat_pb2.ResponseFormat", { json_object: source("chat_pb2.JsonObjectFormat", {}) });
  const { name, schema } = format.json_schema;
  const form = source("chat_pb2.JsonSchemaFormat", { name, schema_json: JSON.stringify(schema) });
  return source("chat_pb2.ResponseFormat", { json_schema: form });
}

/**
 * A call with keyword arguments.
 *
 * @param {string} name
 * @param {Record<string, any>} fields
 */
function source(name, fields) {
  const all = Object.entries(fields).map(([key, value]) => `${key}=${pythonOf(value)}`);
  return new Source(`${name}(${joined(all)})`);
}

/**
 * The literal of a JSON value.
 *
 * @param {any} value
 * @returns {string}
 */
export function pythonOf(value) {
  if (value instanceof Source) return value.text;
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${joined(value.map(pythonOf))}]`;
  if (typeof value === "object") return `{${joined(Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${pythonOf(one)}`))}}`;
  return JSON.stringify(value); // numbers, and texts: JSON's escapes are Python's
}

/**
 * One line, or a line each if that would be long.
 *
 * @param {string[]} parts
 */
function joined(parts) {
  const line = parts.join(", ");
  if (line.length <= 80 && !line.includes("\n")) return line;
  return `\n${parts.map((part) => `    ${part.replaceAll("\n", "\n    ")},\n`).join("")}`;
}

/**
 * @param {Record<string, any>} body
 * @param {string[]} names
 */
function picked(body, names) {
  return Object.fromEntries(names.filter((name) => name in body).map((name) => [name, body[name]]));
}

/** @param {Record<string, any>} fields */
function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
