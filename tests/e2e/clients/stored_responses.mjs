// Continues, lists and deletes stored responses with the `openai` package, and prints what came back as JSON.
import OpenAI from "openai";

const [url, apiKey, question, ...results] = process.argv.slice(2);
const { responses } = new OpenAI({ baseURL: url, apiKey, maxRetries: 0 });
const model = "scripted";
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  name,
  parameters: { type: "object", properties: {} },
  strict: false,
}));
const called = await responses.create({ model, input: question, tools });
const input = called.output.map((call, index) => ({
  type: "function_call_output",
  call_id: call.call_id,
  output: results[index],
}));
const stream = responses.stream({ model, input, tools, previous_response_id: called.id });
for await (const event of stream) void event;
const answered = await stream.finalResponse();
const found = await responses.retrieve(answered.id);
const items = [];
for await (const item of responses.inputItems.list(answered.id, { limit: 2, order: "asc" })) items.push(item.type);
const refused = async (call) => {
  try {
    await call();
  } catch (error) {
    return error.status;
  }
};
const cancelled = await refused(() => responses.cancel(answered.id));
await responses.delete(answered.id);
const deleted = await refused(() => responses.retrieve(answered.id));
console.log(
  JSON.stringify({
    answer: found.output_text,
    previous: found.previous_response_id === called.id,
    items,
    cancelled,
    deleted,
  }),
);
