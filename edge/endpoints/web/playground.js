/** Assembles the playground: model, conversations, chat, settings and code. */

import { apiKey } from "./api_key.js";
import { Chat } from "./chat.js";
import { CodeDialog } from "./code_dialog.js";
import { defaultSettings, newConversation } from "./conversation.js";
import { storedConversations } from "./conversation_store.js";
import { exportConversation, showConversations } from "./conversations_view.js";
import { find, fit } from "./elements.js";
import { clearMarks, markField } from "./field_error.js";
import { keyForm } from "./key_form.js";
import { modelElement } from "./model_view.js";
import { requestBody, UnreadableField } from "./request_body.js";
import { listModels, readDocument, ServiceError } from "./service.js";
import { SettingsForm } from "./settings_form.js";
import { watchState } from "./state_view.js";
import { TurnsView } from "./turns_view.js";

const message = find("message", HTMLTextAreaElement);
const send = find("send", HTMLButtonElement);
const stop = find("stop", HTMLButtonElement);
const announcement = find("announcement", HTMLElement);
const traceUrl = document.querySelector('meta[name="trace-url"]')?.getAttribute("content") ?? "";

const dialog = new CodeDialog();
document.body.append(dialog.element);
const key = keyForm(load);
/** @type {SettingsForm | null} */
let settings = null;

const chat = new Chat(
  newConversation(defaultSettings()),
  {
    changed() {
      turns.show(chat.conversation);
      showConversations(find("conversations", HTMLElement), chat.conversation, open);
      settings?.set(chat.conversation.settings);
      showRunning();
    },
    grew: () => turns.grow(),
    ended,
  },
  Boolean(traceUrl),
);
const turns = new TurnsView(
  find("turns", HTMLElement),
  {
    edit: (at, text) => attempt(() => chat.say(text, at)),
    regenerate: (at) => attempt(() => chat.regenerate(at)),
    results: (results) => attempt(() => chat.giveResults(results)),
    choose(at, choice) {
      const turn = chat.conversation.turns[at];
      if (turn.kind === "answer") turn.chosen = choice;
      chat.keep();
    },
    code(at) {
      const turn = chat.conversation.turns[at];
      if (turn.kind === "answer") showCode(turn.request);
    },
    traceUrl: ({ traceId }) => (traceId ? traceUrl.replaceAll("{trace_id}", traceId) : ""),
  },
  (starter) => {
    chat.conversation.settings = { ...defaultSettings(), ...starter.settings };
    settings?.set(chat.conversation.settings);
    attempt(() => chat.say(starter.message));
  },
);

/** What the service offers: at first, when it has become ready again, and with another key. */
async function load() {
  try {
    const [[model], document] = await Promise.all([listModels(), readDocument()]);
    chat.model = model.id;
    turns.model = model;
    find("model", HTMLElement).replaceChildren(modelElement(model));
    settings = new SettingsForm(document, model, readSettings);
    settings.set(chat.conversation.settings);
    find("settings", HTMLElement).replaceChildren(settings.element);
    send.disabled = !model.chat;
    if (!model.chat) find("hint", HTMLElement).textContent = "This model has no chat template: it completes texts only.";
    if (!chat.conversation.turns.length) turns.show(chat.conversation);
  } catch (error) {
    const words = error instanceof ServiceError ? error.message : String(error);
    find("model", HTMLElement).textContent = words;
    if (error instanceof ServiceError && error.status === 401) askForKey(words);
  }
}

/** @param {string} words */
function askForKey(words) {
  key.ask(apiKey() ? words : "This service asks for an API key. It is kept for this tab only.");
}

function readSettings() {
  try {
    if (settings) chat.conversation.settings = settings.values();
  } catch {
    // The field is marked, and is read again when the message is sent.
  }
}

/**
 * Do what sends a request; what cannot be sent is marked instead.
 *
 * @param {() => void} act
 */
function attempt(act) {
  clearMarks();
  try {
    if (!chat.model) throw new Error("The service is not ready yet.");
    if (settings) chat.conversation.settings = settings.values();
    act();
    return true;
  } catch (error) {
    if (error instanceof UnreadableField) mark(error.param, error.message);
    else if (error instanceof Error) announcement.textContent = error.message;
    return false;
  }
}

/**
 * @param {string} param
 * @param {string} words
 */
function mark(param, words) {
  const at = /^messages\[(\d+)\]/.exec(param);
  const control = at ? null : settings?.control(param);
  if (control) markField(control, words);
  announcement.textContent = words;
}

/** @param {import("./conversation.js").AnswerTurn} turn */
function ended(turn) {
  turns.draw();
  showRunning();
  if (turn.error) {
    if (turn.error.param) mark(turn.error.param, turn.error.message);
    if (turn.error.status === 401) askForKey(turn.error.message);
    announcement.textContent = turn.error.message;
  } else {
    const chosen = turn.answer.choices[turn.chosen];
    const calls = chosen?.calls.map((call) => `Calls ${call.function.name}.`).join(" ");
    announcement.textContent = turn.stopped ? "Stopped." : `${chosen?.content ?? ""} ${calls ?? ""}`;
  }
}

function showRunning() {
  send.hidden = chat.running !== null;
  stop.hidden = chat.running === null;
  if (chat.running) announcement.textContent = "Answering…";
}

/** @param {import("./conversation.js").Conversation | undefined} conversation */
function open(conversation) {
  chat.open(conversation);
  message.focus();
}

/** @param {Record<string, any>} body */
function showCode(body) {
  dialog.open(body, { origin: location.origin, hasKey: Boolean(apiKey()) });
}

find("composer", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const words = message.value;
  if (!words.trim() || send.disabled || chat.running || !attempt(() => chat.say(words))) return;
  message.value = "";
  fit(message);
});
message.addEventListener("input", () => fit(message));
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  message.form?.requestSubmit();
});
stop.addEventListener("click", () => {
  chat.stop();
  message.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !dialog.element.open) chat.stop();
});
find("show-code", HTMLButtonElement).addEventListener("click", () => {
  const last = chat.conversation.turns.findLast((turn) => turn.kind === "answer");
  const next = { kind: /** @type {const} */ ("user"), content: message.value || "Hello!" };
  attempt(() => showCode(last?.kind === "answer" ? last.request : requestBody({ ...chat.conversation, turns: [next] }, chat.model)));
});
find("new-chat", HTMLButtonElement).addEventListener("click", () => open(undefined));
find("export", HTMLButtonElement).addEventListener("click", () => exportConversation(chat.conversation));

// On a narrow screen the chat comes first, and the rest is folded.
const wide = matchMedia("(min-width: 64rem)");
const fold = () => document.querySelectorAll("details.side").forEach((side) => side.toggleAttribute("open", wide.matches));
wide.addEventListener("change", fold);
fold();

const [latest] = storedConversations();
if (latest) chat.open(latest);
else turns.show(chat.conversation);
showConversations(find("conversations", HTMLElement), chat.conversation, open);
watchState(find("state", HTMLElement), load);
