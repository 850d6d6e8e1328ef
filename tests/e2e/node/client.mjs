// What a Node program does with the `openai` package; prints what it saw as JSON. Arguments: base URL, model.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello!" }];
const seen = {};

const { data: whole, response } = await client.chat.completions
  .create({ model, messages, max_tokens: 20, logprobs: true, top_logprobs: 2 })
  .withResponse();
seen.whole = whole;
seen.requestId = response.headers.get("x-request-id");

const chunks = [];
const stream = await client.chat.completions.create({
  model, messages, max_tokens: 20, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) chunks.push(chunk);
seen.streamed = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? "")).join("");
seen.streamedUsage = chunks.at(-1).usage;

seen.helped = await client.chat.completions.stream({ model, messages, max_tokens: 20 }).finalContent();
seen.text = (await client.completions.create({ model, prompt: "Once", echo: true, max_tokens: 4 })).choices[0].text;
seen.models = (await client.models.list()).data.map((entry) => entry.id);
try {
  await client.chat.completions.create({ model, messages, temperature: 3 });
} catch (error) {
  seen.error = { name: error.constructor.name, status: error.status, param: error.param, code: error.code };
}
console.log(JSON.stringify(seen));
