// The form: figures beside sliders, shapes, styles, the seed's lock, a model's own defaults, Ctrl-Enter.
export const form = document.getElementById("playground");
const field = (name) => form.elements[name];
const STEP = 8;

export function changed() {
  form.dispatchEvent(new CustomEvent("settings-changed"));
}

function showFigures() {
  for (const slider of form.querySelectorAll("input[data-shows]")) {
    document.getElementById(slider.dataset.shows).value = slider.value;
  }
}

// Sliders take any number, as the API does, so that a link's is not bent; whoever moves one gets round ones.
function even(slider) {
  const grain = Number(slider.dataset.grain);
  slider.value = Number((Math.round(slider.value / grain) * grain).toFixed(2));
}

function model() {
  return form.querySelector("input[name=model]:checked") ?? form.querySelector("input[name=model]");
}

// A shape keeps the area of the model's own square, in whole multiples of eight, within its largest edge.
function shaped(shape) {
  const [across, down] = shape.split(":").map(Number);
  const { size, max } = model().dataset;
  const scale = Math.min(Number(size) / Math.sqrt(across * down), Number(max) / Math.max(across, down));
  const round = (edge) => Math.round((edge * scale) / STEP) * STEP;
  return [round(across), round(down)];
}

function markShape() {
  for (const button of form.querySelectorAll("[data-shape]")) {
    const [width, height] = shaped(button.dataset.shape);
    const same = Number(field("width").value) === width && Number(field("height").value) === height;
    button.setAttribute("aria-pressed", String(same));
  }
}

function takeDefaults() {
  const { steps, cfg, sampler } = model().dataset;
  field("steps").value = steps;
  field("cfg_scale").value = cfg;
  field("sampler").value = sampler;
  const pressed = form.querySelector("[data-shape][aria-pressed=true]") ?? form.querySelector("[data-shape]");
  [field("width").value, field("height").value] = shaped(pressed.dataset.shape);
}

export function lockSeed(seed) {
  field("seed").value = seed;
  document.getElementById("seed-lock").setAttribute("aria-pressed", String(seed !== ""));
  changed();
}

function adapt(on) {
  document.getElementById("adaptive-fields").hidden = !on;
  field("quality_target").disabled = field("min_steps").disabled = !on;
}

form.addEventListener("input", (event) => {
  if (event.target.dataset.grain) even(event.target);
  if (event.target.name === "model") takeDefaults();
  if (event.target.id === "adaptive") adapt(event.target.checked);
  if (event.target.name === "seed") {
    document.getElementById("seed-lock").setAttribute("aria-pressed", String(event.target.value !== ""));
  }
  showFigures();
  markShape();
});

form.addEventListener("click", (event) => {
  const shape = event.target.closest("[data-shape]");
  const style = event.target.closest("[data-style]");
  if (shape) {
    [field("width").value, field("height").value] = shaped(shape.dataset.shape);
    markShape();
    changed();
  } else if (style) {
    const prompt = field("prompt");
    const others = [...form.querySelectorAll("[data-style]")].map((each) => each.dataset.style);
    const bare = others.reduce((text, words) => text.replace(words, ""), prompt.value);
    prompt.value = bare + style.dataset.style;
    prompt.focus();
    changed();
  }
});

// The lock keeps the seed of the newest run; opening it lets every run draw a seed of its own.
document.getElementById("seed-lock").addEventListener("click", (event) => {
  const locked = event.currentTarget.getAttribute("aria-pressed") === "true";
  const newest = document.querySelector(".run [data-seed]");
  lockSeed(locked ? "" : (newest?.dataset.seed ?? String(Math.floor(Math.random() * 2 ** 32))));
});

document.addEventListener("click", (event) => {
  const seed = event.target.closest(".run [data-seed]");
  const example = event.target.closest("[data-example]");
  if (seed) lockSeed(seed.dataset.seed);
  if (example) {
    field("prompt").value = example.dataset.example;
    changed();
    form.requestSubmit();
  }
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

showFigures();
markShape();
