// The gallery's choosing: a bar that counts, and Shift for a range. Cards that arrive later take part.
const form = document.querySelector("[data-collection]");

if (form) {
  const bar = form.querySelector("[data-chosen-bar]");
  const count = form.querySelector("[data-chosen-count]");
  const tooMany = form.querySelector("[data-too-many]");
  let last = null;

  const boxes = () => [...form.querySelectorAll(".shot-box")];

  function show() {
    const chosen = boxes().filter((box) => box.checked).length;
    const over = chosen > Number(form.dataset.most);
    count.textContent = String(chosen);
    bar.hidden = chosen === 0;
    tooMany.hidden = !over;
    for (const button of bar.querySelectorAll("button:not([type=reset])")) button.disabled = over;
    form.classList.toggle("choosing", chosen > 0);
  }

  form.addEventListener("click", (event) => {
    const box = event.target.closest(".shot-box");
    if (!box) return;
    const all = boxes();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((one, other) => one - other);
      for (const each of all.slice(from, to + 1)) each.checked = box.checked;
    }
    last = box;
  });
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(show));
  document.addEventListener("htmx:afterSettle", show);
  // Enter would press the form's first button, which is the download.
  document.getElementById("tag-name")?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    document.getElementById("tag-put").click();
  });
  show(); // a browser that comes back may have kept what was chosen
}
