/** What the page offers to begin with. The demonstration model answers all of it. */

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "Name of the city" } },
      required: ["city"],
    },
  },
};
const TIMER = {
  type: "function",
  function: {
    name: "set_timer",
    description: "Set a timer",
    parameters: {
      type: "object",
      properties: { minutes: { type: "integer", description: "How long" }, label: { type: "string" } },
      required: ["minutes"],
    },
  },
};
const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" }, city: { type: "string" } },
  required: ["name", "age", "city"],
  additionalProperties: false,
};
const TASKS = {
  type: "object",
  properties: { tasks: { type: "array", items: { type: "string" }, maxItems: 5 } },
  required: ["tasks"],
  additionalProperties: false,
};

/** @param {any} value */
const text = (value) => JSON.stringify(value, null, 2);

/** Lists of tools by name. @type {Record<string, string>} */
export const TOOLS = { Weather: text([WEATHER]), Timer: text([TIMER]), Both: text([WEATHER, TIMER]) };

/** Schemas by name. @type {Record<string, string>} */
export const SCHEMAS = { Person: text(PERSON), Tasks: text(TASKS) };

/** What a call's result may look like, until somebody types one. */
export const RESULT = '{"temperature": 21, "sky": "sunny"}';

/**
 * @typedef {object} Starter
 * @property {string} title
 * @property {string} message
 * @property {Partial<import("./conversation.js").Settings>} settings
 * @property {(model: import("./service.js").Model) => boolean} [fits] Whether the model can do it; without, each can.
 */

const STEADY = { options: { temperature: 0 } }; // a small model is at its best so

/** @type {Starter[]} */
export const STARTERS = [
  { title: "Ask something", message: "How do I boil an egg?", settings: STEADY },
  {
    title: "Have tools called",
    message: "What is the weather in Paris and in Rome?",
    settings: { ...STEADY, tools: TOOLS.Weather },
    fits: ({ supported_parameters }) => supported_parameters.includes("tools"),
  },
  {
    title: "Get JSON by a schema",
    message: "Maria is 34 years old and lives in Cusco.",
    settings: { ...STEADY, format: "json_schema", schema: SCHEMAS.Person },
    fits: ({ supported_parameters }) => supported_parameters.includes("response_format"),
  },
  {
    title: "Compare three answers",
    message: "Write a short poem about the sea",
    settings: { options: { n: 3 } },
    fits: ({ limits }) => limits.n?.maximum >= 3,
  },
];
