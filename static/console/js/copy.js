// `data-copy="#id"` copies that element's text (or value), `data-copy-text` the text itself; with `data-copy-link` it is
// a path of ours, copied as a whole address.
import { toast } from "./toasts.js";

function textOf(button) {
  const text = button.dataset.copyText;
  if (text !== undefined) return "copyLink" in button.dataset ? new URL(text, location.origin).href : text;
  const source = document.querySelector(button.dataset.copy);
  return source.value ?? source.textContent;
}

async function put(text, button) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers give the clipboard to secure pages only; this is what is left for plain HTTP in a local network. Outside of
  // an open dialog nothing can be selected.
  const area = Object.assign(document.createElement("textarea"), { value: text });
  (button.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  button.focus();
  if (!done) throw new Error("The browser did not copy.");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-text]");
  if (!button) return;
  try {
    await put(textOf(button), button);
  } catch (error) {
    console.warn("copying", error);
    toast(document.body.dataset.failedText, "error");
    return;
  }
  button.dataset.copied = "";
  toast(document.body.dataset.copiedText, "success");
  setTimeout(() => delete button.dataset.copied, 2000);
});
