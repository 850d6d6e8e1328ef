/** Shows whether the service is ready, and asks again while the page is seen. */

import { readiness } from "./service.js";

const READY_MS = 5000;
const WAITING_MS = 1000;

/**
 * @param {HTMLElement} element
 * @param {() => void} becameReady Called each time that it becomes ready, at first too.
 */
export function watchState(element, becameReady) {
  let state = "";
  let since = Date.now();
  const ask = async () => {
    if (!document.hidden) {
      const now = await readiness();
      if (now.state !== state) since = Date.now();
      const seconds = Math.round((Date.now() - since) / 1000);
      const waited = now.state === "loading" && seconds > 1 ? `, for ${seconds} s` : "";
      if (element.textContent !== now.words + waited) element.textContent = now.words + waited;
      element.dataset.state = now.state;
      if (now.state === "ready" && state !== "ready") becameReady();
      state = now.state;
    }
    setTimeout(ask, state === "ready" ? READY_MS : WAITING_MS);
  };
  ask();
}
