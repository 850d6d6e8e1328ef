/** Assembles the API page from the OpenAPI document. */

import { find, make } from "./elements.js";
import { keyForm } from "./key_form.js";
import { operationElement } from "./operation_view.js";
import { readDocument } from "./service.js";
import { prose } from "./schema_view.js";
import { watchState } from "./state_view.js";

async function load() {
  const operations = find("operations", HTMLElement);
  if (operations.childElementCount) return;
  try {
    const document_ = await readDocument();
    find("about", HTMLElement).replaceChildren(...prose(document_.info.description));
    const all = Object.entries(document_.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => operationElement(document_, path, method, operation)),
    );
    operations.append(...all);
    all[0].open = true;
  } catch (error) {
    find("about", HTMLElement).replaceChildren(make("span", {}, `The description cannot be loaded: ${error}`));
  }
}

keyForm(() => {});
watchState(find("state", HTMLElement), () => {});
load();
