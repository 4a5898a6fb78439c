// Two pictures over each other, and a line between them that one moves.
const dialog = document.getElementById("compare-dialog");
const bar = document.getElementById("compare-bar");
const range = document.getElementById("compare-range");
let first = null;

function forget() {
  first?.setAttribute("aria-pressed", "false");
  first = null;
  bar.hidden = true;
}

function put(id, button) {
  const image = document.getElementById(id);
  image.src = button.dataset.compare;
  image.alt = button.dataset.words;
}

function open(left, right) {
  put("compare-over", left);
  put("compare-under", right);
  document.getElementById("compare-left").textContent = left.dataset.words;
  document.getElementById("compare-right").textContent = right.dataset.words;
  dialog.showModal();
  range.focus();
}

range.addEventListener("input", () => {
  document.getElementById("compare").style.setProperty("--cut", `${range.value}%`);
});
document.getElementById("compare-cancel").addEventListener("click", forget);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-compare]");
  if (!button) return;
  if (button === first) return forget();
  if (first) {
    open(first, button);
    return forget();
  }
  first = button;
  first.setAttribute("aria-pressed", "true");
  bar.hidden = false;
});
