/** The body of a chat request: what a conversation and its settings ask for; pure. */

import { messagesOf } from "./conversation.js";

/** What the page itself cannot read, in a field of its own; `param` is as the service would name it. */
export class UnreadableField extends Error {
  /**
   * @param {string} param
   * @param {string} message
   */
  constructor(param, message) {
    super(message);
    this.param = param;
  }
}

/**
 * UnreadableField if the tools or the schema are not JSON.
 *
 * @param {import("./conversation.js").Conversation} conversation
 * @param {string} model
 * @returns {Record<string, any>}
 */
export function requestBody(conversation, model) {
  const { settings } = conversation;
  const streaming = settings.stream ? { stream: true, stream_options: { include_timings: true } } : {};
  return {
    model,
    messages: messagesOf(conversation),
    ...settings.options,
    ...toolFields(settings),
    ...formatField(settings),
    ...streaming,
  };
}

/**
 * @param {import("./conversation.js").Settings} settings
 * @returns {Record<string, any>}
 */
function toolFields({ tools, toolChoice, parallelCalls }) {
  const offered = tools.trim() ? parsed("tools", "The tools", tools) : [];
  if (!Array.isArray(offered)) throw new UnreadableField("tools", "The tools must be a list: [ … ].");
  if (!offered.length) return {};
  const modes = ["auto", "none", "required"];
  const choice = modes.includes(toolChoice) ? toolChoice : { type: "function", function: { name: toolChoice } };
  return {
    tools: offered,
    ...(toolChoice !== "auto" && { tool_choice: choice }),
    ...(!parallelCalls && { parallel_tool_calls: false }),
  };
}

/**
 * @param {import("./conversation.js").Settings} settings
 * @returns {Record<string, any>}
 */
function formatField({ format, schema }) {
  if (format === "text") return {};
  if (format === "json_object") return { response_format: { type: format } };
  const parsedSchema = parsed("response_format", "The schema", schema);
  return { response_format: { type: format, json_schema: { name: "answer", schema: parsedSchema } } };
}

/**
 * @param {string} param
 * @param {string} what
 * @param {string} text
 */
function parsed(param, what, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnreadableField(param, `${what} cannot be read as JSON: ${error instanceof Error ? error.message : error}.`);
  }
}
