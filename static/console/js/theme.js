// Light, dark, or as the system: kept in a cookie, so that the server's first answer already has it.
const YEAR = 31536000;

export function choose(theme) {
  const age = theme ? YEAR : 0;
  document.cookie = `easel_theme=${theme}; path=/; max-age=${age}; samesite=lax`;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const button of document.querySelectorAll("button[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (!button) return;
  event.preventDefault();
  choose(button.dataset.themeChoice);
});
