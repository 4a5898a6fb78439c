// Unfold's styles know the dark theme by a class. It follows our own choice (theme.js) and, without one, the system.
// Not a module, so that it has run before anything is painted.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    if (root.classList.contains("dark") !== dark) root.classList.toggle("dark", dark);
  };
  follow();
  system.addEventListener("change", follow);
  new MutationObserver(follow).observe(root, { attributeFilter: ["data-theme"] });
})();
