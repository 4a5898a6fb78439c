// The picture to start from: a file (made small enough here), a dropped one, or one that was drawn before.
import { toast } from "../toasts.js";
import { changed, form } from "./form.js";

const LARGEST = 1024;
const preview = document.getElementById("start-preview");
const image = document.getElementById("start-image");
const file = document.getElementById("init-file");
const drop = document.getElementById("drop");

export function setMask(data) {
  form.elements.mask.value = data;
  preview.toggleAttribute("data-masked", Boolean(data));
}

function start(value, source) {
  form.elements.init_image.value = value;
  form.elements.starts_from.value = value ? "picture" : "";
  setMask("");
  preview.hidden = !value;
  drop.hidden = Boolean(value);
  if (value) {
    image.src = source;
    document.getElementById("start").open = true;
  } else {
    image.removeAttribute("src");
    file.value = "";
  }
  changed();
}

async function take(chosen) {
  if (!chosen) return;
  const bitmap = await createImageBitmap(chosen).catch(() => null);
  if (!bitmap) {
    file.value = "";
    toast(drop.dataset.unreadable, "error");
    return;
  }
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const data = canvas.toDataURL("image/png");
  start(data, data);
}

file.addEventListener("change", () => take(file.files[0]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("drop-over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
document.getElementById("start-remove").addEventListener("click", () => start("", ""));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-start-from]");
  if (!button) return;
  start(button.dataset.startFrom, button.dataset.url);
  form.scrollIntoView({ block: "start" });
});
