// Asks over Responses and Messages with Vercel's SDK, and prints what came back as JSON.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, question] = process.argv.slice(2);
const options = { baseURL: `${url}/v1`, apiKey: "unused" };
const models = { responses: createOpenAI(options)("scripted"), messages: createAnthropic(options)("scripted") };
const tools = {
  get_weather: tool({
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
  get_time: tool({ inputSchema: z.object({ zone: z.string() }), execute: async ({ zone }) => `noon in ${zone}` }),
};
const shown = {};
for (const [name, model] of Object.entries(models)) {
  const asked = { model, maxOutputTokens: 200, maxRetries: 0 };
  const whole = await generateText({ ...asked, prompt: "Hello!" });
  const agent = { ...asked, prompt: question, tools, stopWhen: stepCountIs(3) };
  const called = await generateText(agent);
  const sum = await generateObject({ ...asked, prompt: "Add 2 and 2.", schema: z.object({ sum: z.number() }) });
  shown[name] = {
    whole: [whole.text, whole.finishReason, whole.usage.outputTokens > 0],
    streamed: await streamText({ ...asked, prompt: "Hello!" }).text,
    agent: [called.text, called.steps.length],
    streamedAgent: await streamText(agent).text,
    object: sum.object,
  };
}
console.log(JSON.stringify(shown));
