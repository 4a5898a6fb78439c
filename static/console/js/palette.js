// The command palette: Ctrl-K (or Cmd-K), type, arrows, Enter. Its list is in the page already.
const dialog = document.getElementById("palette");
const input = document.getElementById("palette-input");

if (dialog) {
  const options = [...dialog.querySelectorAll("[role=option]")];
  const none = dialog.querySelector(".palette-none");
  let chosen = 0;

  const shown = () => options.filter((option) => !option.hidden);

  const mark = (index) => {
    const list = shown();
    chosen = list.length ? (index + list.length) % list.length : 0;
    for (const option of options) option.setAttribute("aria-selected", String(option === list[chosen]));
    if (list.length) {
      input.setAttribute("aria-activedescendant", list[chosen].id);
      list[chosen].scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };

  const narrow = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const option of options) {
      const text = option.dataset.words.toLowerCase();
      option.hidden = !words.every((word) => text.includes(word));
    }
    none.hidden = shown().length > 0;
    mark(0);
  };

  const open = () => {
    if (dialog.open) return;
    input.value = "";
    narrow();
    dialog.showModal();
    input.focus();
  };

  for (const button of document.querySelectorAll("[data-palette-open]")) button.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  input.addEventListener("input", narrow);
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      mark(chosen + step);
    } else if (event.key === "Enter" && !event.isComposing && shown().length) {
      event.preventDefault();
      shown()[chosen].click();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-choice]")) dialog.close();
  });
}
