/** The caller's API key: kept for this tab, until it is closed. */

const NAME = "chasqui.key";

/** @returns {string} Empty if there is none. */
export function apiKey() {
  return sessionStorage.getItem(NAME) ?? "";
}

/** @param {string} key Empty forgets it. */
export function setApiKey(key) {
  if (key) sessionStorage.setItem(NAME, key);
  else sessionStorage.removeItem(NAME);
}

/** @returns {Record<string, string>} The header of a request. */
export function keyHeader() {
  return apiKey() ? { authorization: `Bearer ${apiKey()}` } : {};
}
