/** The conversations, kept in this browser alone. */

/** @typedef {import("./conversation.js").Conversation} Conversation */

const NAME = "chasqui.conversations.1"; // another number when the form changes: an earlier one is not read
const MOST = 50;

/** @returns {Conversation[]} The latest first; those that cannot be read are forgotten. */
export function storedConversations() {
  try {
    const stored = JSON.parse(localStorage.getItem(NAME) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one) => Array.isArray(one?.turns) && one.settings) : [];
  } catch {
    return [];
  }
}

/**
 * Keep a conversation as the latest one; the oldest give way if the browser has no room.
 *
 * @param {Conversation} conversation
 */
export function store(conversation) {
  const others = storedConversations().filter(({ id }) => id !== conversation.id);
  save([conversation, ...others].slice(0, MOST));
}

/** @param {string} id */
export function forget(id) {
  save(storedConversations().filter((one) => one.id !== id));
}

/** @param {Conversation[]} conversations */
function save(conversations) {
  for (let kept = conversations; ; kept = kept.slice(0, -1)) {
    try {
      localStorage.setItem(NAME, JSON.stringify(kept));
      return;
    } catch {
      if (!kept.length) return; // the browser keeps nothing at all
    }
  }
}
