/** The typed API as web programs use it: the same program in Node.js and in a browser, over each transport. */

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { ChatRequestSchema, ChatService, StreamChatRequestSchema } from "./chasqui/v1/chat_service_pb.js";
import { Role } from "./chasqui/v1/chat_pb.js";
import { ModelService } from "./chasqui/v1/model_service_pb.js";
import { ErrorInfoSchema } from "./google/rpc/error_details_pb.js";

const TRANSPORTS = { connect: createConnectTransport, "grpc-web": createGrpcWebTransport };

/** @param {string} text */
const request = (text, model = "chasqui-demo") =>
  create(ChatRequestSchema, {
    model,
    messages: [{ role: Role.USER, content: [{ part: { case: "text", value: text } }] }],
    sampling: { temperature: 0 },
  });

/** What the calls gave, as JSON. */
export async function run(/** @type {string} */ baseUrl, /** @type {keyof typeof TRANSPORTS} */ name) {
  const transport = TRANSPORTS[name]({ baseUrl, useBinaryFormat: true });
  const chat = createClient(ChatService, transport);
  const models = await createClient(ModelService, transport).listModels({});
  const whole = await chat.chat(request("What is the capital of Peru?"));
  const events = [];
  let streamed = "";
  for await (const message of chat.streamChat(create(StreamChatRequestSchema, { chat: request("What is the capital of Peru?") }))) {
    for (const { event } of message.events) {
      events.push(event.case);
      if (event.case === "delta") streamed += event.value.content;
    }
  }
  const json = TRANSPORTS[name]({ baseUrl, useBinaryFormat: false });
  return {
    models: models.models.map(({ id }) => id),
    whole: whole.choices[0].message?.content[0].part.value,
    streamed,
    events: [events[0], events.at(-1)],
    refused: await failure(() => chat.chat(request("Hello!", "nothing"))),
    refusedStream: await failure(() => drain(chat.streamChat({ chat: request("Hello!", "nothing") }))),
    inJson: name === "connect" ? await failure(() => createClient(ChatService, json).chat(request("Hello!"))) : null,
    aborted: await abortedAfterFirst(chat),
  };
}

/** @param {() => Promise<unknown>} call */
async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    const failed = ConnectError.from(error);
    const reasons = failed.findDetails(ErrorInfoSchema).map(({ reason }) => reason);
    return { code: Code[failed.code], message: failed.rawMessage, reasons };
  }
}

/** @param {AsyncIterable<unknown>} stream */
async function drain(stream) {
  for await (const _ of stream);
}

/** @param {import("@connectrpc/connect").Client<typeof ChatService>} chat */
async function abortedAfterFirst(chat) {
  const controller = new AbortController();
  return failure(async () => {
    const stream = chat.streamChat({ chat: request("Tell me a story about a llama") }, { signal: controller.signal });
    for await (const _ of stream) controller.abort();
  });
}
