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
  if (kind === "error" && said(text)) return; // what polls or is typed fails again and again
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

function said(text) {
  return [...place.querySelectorAll(".toast-error")].find((shown) => shown.querySelector("p").textContent === text);
}

// A page that asks by itself goes on asking: that it hears nothing is said until it does, and no longer.
function meaning({ xhr: { status }, requestConfig }) {
  const { signedOutText, outdatedText, lostText, failedText } = document.body.dataset;
  if (status === 401) return signedOutText;
  if (status === 403 || status === 409) return outdatedText;
  const away = status === 0 || status >= 500;
  return away && !requestConfig.triggeringEvent ? lostText : failedText;
}

document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest(".toast").remove());
document.body.addEventListener("htmx:responseError", ({ detail }) => toast(meaning(detail), "error"));
document.body.addEventListener("htmx:sendError", ({ detail }) => toast(meaning(detail), "error"));
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) said(document.body.dataset.lostText)?.remove();
});
for (const shown of place.children) expire(shown);
