// Asks over Messages with the `@anthropic-ai/sdk` package, and prints what came back as JSON.
import Anthropic from "@anthropic-ai/sdk";

const [url, question] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
const hello = { model: "scripted", max_tokens: 200, messages: [{ role: "user", content: "Hello!" }] };
const tools = ["get_weather", "get_time"].map((name) => ({ name, input_schema: { type: "object", properties: {} } }));
const whole = await client.messages.create(hello);
const stream = client.messages.stream(hello);
const streamed = await stream.finalText();
const asked = { ...hello, messages: [{ role: "user", content: question }], tools };
const called = await client.messages.stream(asked).finalMessage();
const image = [{ role: "user", content: [{ type: "image", source: {} }] }];
let refused;
try {
  await client.messages.create({ ...hello, messages: image });
} catch (error) {
  refused = [error.status, error.error.error.type, error.error.error.details.param];
}
const { input_tokens: counted } = await client.messages.countTokens({ model: hello.model, messages: hello.messages });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
console.log(
  JSON.stringify({
    whole: whole.content[0].text,
    streamed,
    calls: called.content.map((block) => ({ name: block.name, parameters: block.input })),
    stop: called.stop_reason,
    models,
    counted: counted === whole.usage.input_tokens,
    refused,
  }),
);
