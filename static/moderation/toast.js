// One line at the edge of the page that says what happened, and for how long it can be taken back.
const place = document.getElementById("toast");
const said = place.querySelector("span");
const bar = place.querySelector("progress");
let timer = 0;

export function toast(text, { key = "", hint = "", ms = 4000, alarm = false } = {}) {
  clearInterval(timer);
  said.textContent = text;
  if (key) {
    const shown = document.createElement("kbd");
    shown.textContent = key;
    said.append(" · ", shown, ` ${hint}`);
  }
  place.classList.toggle("alarm", alarm);
  place.hidden = false;
  bar.hidden = !key;
  const until = Date.now() + ms;
  timer = setInterval(() => {
    const left = until - Date.now();
    bar.value = Math.max(0, (100 * left) / ms);
    if (left <= 0) { clearInterval(timer); place.hidden = true; }
  }, 200);
}
