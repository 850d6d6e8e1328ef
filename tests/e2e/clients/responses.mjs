// Asks over Responses with the `openai` package, and prints what came back as JSON.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const [url, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "unused", maxRetries: 0 });
const model = "scripted";
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  name,
  parameters: { type: "object", properties: {} },
  strict: false,
}));
const whole = await client.responses.create({ model, input: "Hello!" });
const stream = client.responses.stream({ model, input: question, tools });
for await (const event of stream) void event;
const called = await stream.finalResponse();
const parsed = await client.responses.parse({
  model,
  input: "Add 2 and 2.",
  text: { format: zodTextFormat(z.object({ sum: z.number() }), "answer") },
});
let refused;
try {
  await client.responses.create({ model, input: "Hello!", previous_response_id: "resp_1" });
} catch (error) {
  refused = [error.status, error.code, error.param];
}
const calls = called.output.map((call) => ({ name: call.name, parameters: JSON.parse(call.arguments) }));
console.log(JSON.stringify({ whole: whole.output_text, calls, sum: parsed.output_parsed.sum, refused }));
