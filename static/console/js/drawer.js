// The side navigation on a narrow screen: opens over the page, closes by Escape, the scrim, or its button.
const shell = document.getElementById("shell");
const opener = document.querySelector("[data-drawer-open]");

function show(open) {
  shell.classList.toggle("side-open", open);
  opener.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector("#side a").focus();
  else opener.focus();
}

if (shell && opener) {
  opener.addEventListener("click", () => show(true));
  for (const closer of document.querySelectorAll("[data-drawer-close]")) {
    closer.addEventListener("click", () => show(false));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shell.classList.contains("side-open")) show(false);
  });
}
