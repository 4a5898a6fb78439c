// A link to the form's settings. Pictures painted or uploaded here stay here; one that was drawn goes along by its id.
import { form } from "./form.js";

const LEFT_OUT = new Set(["csrfmiddlewaretoken", "starts_from"]);
const button = document.getElementById("share-settings");

function link() {
  const address = new URL(location.pathname, location.origin);
  for (const [name, value] of new FormData(form)) {
    const painted = (name === "init_image" || name === "mask") && value.startsWith("data:");
    const unused = name === "strength" && !form.elements.init_image.value;
    if (value && !LEFT_OUT.has(name) && !painted && !unused) address.searchParams.set(name, value);
  }
  return address.href;
}

// Before the click reaches the copying script, at the document. A screen reader clicks without a pointer or a key.
button.addEventListener("click", () => (button.dataset.copyText = link()));
