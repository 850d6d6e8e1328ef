/** The REST API that this page belongs to. */

import { keyHeader } from "./api_key.js";
import { readEvents } from "./event_stream.js";

/**
 * @typedef {object} Limit
 * @property {number} minimum
 * @property {number} maximum
 * @property {number | null} default
 *
 * @typedef {object} Model
 * @property {string} id
 * @property {string[]} aliases
 * @property {string} engine
 * @property {string} quantization
 * @property {number} context_length
 * @property {number} default_max_tokens
 * @property {{prompt: number, cached_prompt: number, completion: number}} pricing
 * @property {string[]} supported_parameters
 * @property {string | null} tool_syntax
 * @property {boolean} chat
 * @property {Record<string, Limit>} limits
 * @property {string} system_fingerprint
 *
 * @typedef {{state: "ready" | "loading" | "draining" | "unreachable", words: string}} Readiness
 */

/** A refusal or failure; `param` is the JSON path of the field that caused it. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string | null, param?: string | null}} [details]
   */
  constructor(message, { status = 0, code = null, param = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

const UNREACHABLE = "The service cannot be reached. Is it running?";
const READINESS = /** @type {const} */ ({
  draining: "stopping: new calls are refused",
  loading: "loading the model",
});

/** @returns {Promise<Model[]>} ServiceError if they cannot be had. */
export async function listModels() {
  const response = await request("/v1/models", { headers: keyHeader() });
  return (await response.json()).data;
}

/** @returns {Promise<any>} The OpenAPI document; ServiceError if it cannot be had. */
export async function readDocument() {
  return (await request("/openapi.json")).json();
}

/** @returns {Promise<Readiness>} */
export async function readiness() {
  const failure = await failureOf("/readyz");
  if (!failure) return { state: "ready", words: "ready" };
  // Where no worker is ready the proxy answers by itself; a worker says why.
  const { status, code } = (await failureOf("/web/readyz")) ?? failure;
  if (!status) return { state: "unreachable", words: "not reachable" };
  const state = code === "draining" ? "draining" : "loading";
  return { state, words: READINESS[state] };
}

/**
 * @param {string} path
 * @returns {Promise<ServiceError | null>} Null if it answers with a success.
 */
async function failureOf(path) {
  try {
    await request(path, { cache: "no-store" });
    return null;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}

/**
 * Send a chat request and give each chunk to `take` as it comes; an unstreamed answer is one chunk.
 *
 * ServiceError if it is refused or fails; an AbortError if `signal` ends it.
 *
 * @param {Record<string, any>} body
 * @param {{signal: AbortSignal, headers: Record<string, string>}} options
 * @param {{started: (headers: Headers) => void, chunk: (chunk: any) => void}} take
 */
export async function chat(body, { signal, headers }, take) {
  const sent = { "content-type": "application/json", ...keyHeader(), ...headers };
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: sent,
    body: JSON.stringify(body),
    signal,
  });
  take.started(response.headers);
  if (!body.stream) {
    take.chunk(await response.json());
    return;
  }
  if (!response.body) throw new ServiceError("The answer is empty.");
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ServiceError(chunk.error.message, chunk.error);
      take.chunk(chunk);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Of the connection: fetch has no class of its own for it.
  }
  throw new ServiceError("The connection broke before the answer was complete.");
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} One whose status is a success; ServiceError for others.
 */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof TypeError) throw new ServiceError(UNREACHABLE);
    throw error;
  }
  if (response.ok) return response;
  const status = response.status;
  const { error } = await response.json().catch(() => ({ error: { message: `The service answers with HTTP ${status}.` } }));
  throw new ServiceError(error.message, { status, code: error.code, param: error.param });
}
