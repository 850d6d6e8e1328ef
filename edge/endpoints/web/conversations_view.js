/** The list of the conversations that this browser keeps. */

import { titleOf } from "./conversation.js";
import { forget, storedConversations } from "./conversation_store.js";
import { make } from "./elements.js";

/**
 * @param {HTMLElement} list
 * @param {import("./conversation.js").Conversation} current
 * @param {(conversation: import("./conversation.js").Conversation | undefined) => void} open Without one: a new one.
 */
export function showConversations(list, current, open) {
  const stored = storedConversations();
  const items = stored.map((conversation) => {
    const title = titleOf(conversation);
    const isCurrent = conversation.id === current.id;
    const remove = () => {
      forget(conversation.id);
      if (isCurrent) open(undefined);
      else showConversations(list, current, open);
    };
    return make(
      "li",
      {},
      make("button", { type: "button", class: "conversation", "aria-current": isCurrent && "true", onclick: () => open(conversation) }, title),
      make("button", { type: "button", class: "quiet", "aria-label": `Delete: ${title}`, title: "Delete", onclick: remove }, "×"),
    );
  });
  list.replaceChildren(...(items.length ? items : [make("li", { class: "hint" }, "Kept in this browser alone. None yet.")]));
}

/**
 * Save a conversation as a file: its settings, its turns, and the request behind each answer.
 *
 * @param {import("./conversation.js").Conversation} conversation
 */
export function exportConversation(conversation) {
  const file = new Blob([`${JSON.stringify(conversation, null, 2)}\n`], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(file), download: `chasqui-${conversation.id.slice(0, 8)}.json` });
  link.click();
  URL.revokeObjectURL(link.href);
}
