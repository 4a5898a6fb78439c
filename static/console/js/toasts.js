// Short messages in the corner. The server renders its own; scripts call toast(). Errors stay until dismissed.
const SECONDS = 6;
const place = document.getElementById("toasts");
const SYMBOLS = { success: "circle-check", error: "circle-alert", warning: "triangle-alert", info: "info" };

function symbol(name) {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${new URL("../icons.svg", import.meta.url).pathname}#${name}`);
  icon.append(use);
  return icon;
}

export function toast(text, kind = "info") {
  const shown = document.createElement("div");
  shown.className = `toast toast-${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.className = "button button-ghost button-icon button-small";
  close.type = "button";
  close.dataset.toastClose = "";
  close.setAttribute("aria-label", place.dataset.dismiss);
  close.append(symbol("x"));
  shown.append(symbol(SYMBOLS[kind] ?? "info"), words, close);
  place.append(shown);
  expire(shown);
}

function expire(shown) {
  if (!shown.classList.contains("toast-error")) setTimeout(() => shown.remove(), SECONDS * 1000);
}

// What polls or is typed fails again and again: it is said once.
function fail(text) {
  const said = [...place.querySelectorAll(".toast-error p")].some((words) => words.textContent === text);
  if (!said) toast(text, "error");
}

function meaning(status) {
  const { signedOutText, outdatedText, failedText } = document.body.dataset;
  if (status === 401) return signedOutText;
  return status === 403 || status === 409 ? outdatedText : failedText;
}

document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest(".toast").remove());
document.body.addEventListener("htmx:responseError", ({ detail }) => fail(meaning(detail.xhr.status)));
document.body.addEventListener("htmx:sendError", () => fail(document.body.dataset.failedText));
for (const shown of place.children) expire(shown);
