/** The same over the package `grpc-web`, whose generated clients come down to these calls. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import grpcWeb from "grpc-web";
import { ChatResponseSchema, ChatService, StreamChatResponseSchema, ChatRequestSchema, StreamChatRequestSchema } from "./chasqui/v1/chat_service_pb.js";
import { Role } from "./chasqui/v1/chat_pb.js";

const SERVICE = `/${ChatService.typeName}`;

/** @param {string} model */
const request = (model) =>
  create(ChatRequestSchema, {
    model,
    messages: [{ role: Role.USER, content: [{ part: { case: "text", value: "What is the capital of Peru?" } }] }],
    sampling: { temperature: 0 },
  });

/** @param {string} name @param {string} type @param {any} input @param {any} output */
const method = (name, type, input, output) =>
  new grpcWeb.MethodDescriptor(
    `${SERVICE}/${name}`,
    type,
    Object,
    Object,
    (/** @type {any} */ message) => toBinary(input, message),
    (/** @type {Uint8Array} */ bytes) => fromBinary(output, bytes),
  );
const CHAT = method("Chat", grpcWeb.MethodType.UNARY, ChatRequestSchema, ChatResponseSchema);
const STREAM_CHAT = method("StreamChat", grpcWeb.MethodType.SERVER_STREAMING, StreamChatRequestSchema, StreamChatResponseSchema);

/** @param {string} baseUrl @param {"text" | "binary"} format */
export async function runGrpcWeb(baseUrl, format) {
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const unary = (/** @type {string} */ model) => client.unaryCall(`${baseUrl}${SERVICE}/Chat`, request(model), {}, CHAT);
  const whole = /** @type {any} */ (await unary("chasqui-demo"));
  const refused = await unary("nothing").then(() => null, (error) => ({ code: error.code, message: error.message }));
  // Only the text format is streamed by this package.
  const streamed = format === "text" ? await textOf(client, baseUrl) : null;
  return { whole: whole.choices[0].message.content[0].part.value, streamed, refused };
}

/** @param {any} client @param {string} baseUrl @returns {Promise<string>} */
function textOf(client, baseUrl) {
  const message = create(StreamChatRequestSchema, { chat: request("chasqui-demo") });
  const stream = client.serverStreaming(`${baseUrl}${SERVICE}/StreamChat`, message, {}, STREAM_CHAT);
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (/** @type {any} */ { events }) => {
      for (const { event } of events) if (event.case === "delta") text += event.value.content;
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(text));
  });
}
