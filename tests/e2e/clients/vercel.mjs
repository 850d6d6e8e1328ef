// What a program does with Vercel's SDK; prints what it saw as JSON. Arguments: base URL, model.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, name] = process.argv.slice(2);
const provider = createOpenAICompatible({
  name: "chasqui", baseURL, apiKey: "unused", includeUsage: true, supportsStructuredOutputs: true,
});
const asked = { model: provider(name), temperature: 0, maxOutputTokens: 200, maxRetries: 0 };
const counts = ({ inputTokens, outputTokens, totalTokens }) => ({ inputTokens, outputTokens, totalTokens });
const person = z.object({ name: z.string(), age: z.number().int() });
const seen = {};

const whole = await generateText({ ...asked, prompt: "Hello!" });
seen.whole = { text: whole.text, finish: whole.finishReason, usage: counts(whole.usage) };
const stream = streamText({ ...asked, prompt: "Hello!" });
let text = "";
for await (const delta of stream.textStream) text += delta;
seen.streamed = { text, finish: await stream.finishReason, usage: counts(await stream.usage) };
seen.completion = (await generateText({ ...asked, model: provider.completionModel(name), prompt: "Once" })).text;

seen.object = (await generateText({ ...asked, prompt: "Ann is 30.", output: Output.object({ schema: person }) })).output;
const forced = { ...asked, prompt: "Ann is 30.", toolChoice: "required", tools: { note: tool({ inputSchema: person }) } };
const called = await generateText(forced);
seen.call = { name: called.toolCalls[0].toolName, input: called.toolCalls[0].input, finish: called.finishReason };
const streamedCall = streamText(forced);
seen.streamedCall = { input: (await streamedCall.toolCalls)[0].input, finish: await streamedCall.finishReason };

seen.errors = {};
for (const [kind, wrong] of Object.entries({
  field: { temperature: 3 }, model: { model: provider("nobody") }, length: { prompt: "word ".repeat(5000) },
})) {
  try {
    await generateText({ ...asked, prompt: "x", ...wrong });
  } catch (error) {
    const { name: thrown, statusCode, isRetryable, data } = error;
    seen.errors[kind] = { thrown, statusCode, isRetryable, code: data.error.code, same: error.message === data.error.message };
  }
}
console.log(JSON.stringify(seen));
