// Painting a mask over the picture: white is drawn anew, black is kept. By pointer, or by arrows and the space bar.
import { setMask } from "./start.js";

const dialog = document.getElementById("mask-dialog");
const canvas = document.getElementById("mask-canvas");
const context = canvas.getContext("2d");
const source = document.getElementById("start-image");
const size = document.getElementById("brush-size");
const brush = document.getElementById("mask-brush");
const eraser = document.getElementById("mask-erase");
const TINT = "rgb(240 110 60 / 55%)";

let strokes = [];
let painting = null; // the pointer that is down on the canvas
let at = { x: 0, y: 0 };

const erasing = () => eraser.getAttribute("aria-pressed") === "true";

// The mask itself, on a canvas of its own: white strokes, and eraser strokes taken out again.
function painted() {
  const mask = document.createElement("canvas");
  mask.width = canvas.width;
  mask.height = canvas.height;
  const pen = mask.getContext("2d");
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
    pen.strokeStyle = "#fff";
    pen.lineWidth = stroke.width;
    pen.beginPath();
    pen.moveTo(stroke.points[0].x, stroke.points[0].y);
    for (const point of stroke.points) pen.lineTo(point.x + 0.01, point.y);
    pen.stroke();
  }
  return mask;
}

function show() {
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const tinted = painted();
  const pen = tinted.getContext("2d");
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = TINT;
  pen.fillRect(0, 0, tinted.width, tinted.height);
  context.drawImage(tinted, 0, 0);
  if (document.activeElement === canvas) {
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.beginPath();
    context.arc(at.x, at.y, Number(size.value) / 2, 0, 2 * Math.PI);
    context.stroke();
  }
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) * canvas.width) / box.width,
    y: ((event.clientY - box.top) * canvas.height) / box.height,
  };
}

function begin(point) {
  strokes.push({ erases: erasing(), width: Number(size.value), points: [point] });
}

function draw(point) {
  at = point;
  strokes.at(-1).points.push(point);
  show();
}

canvas.addEventListener("pointerdown", (event) => {
  painting = event.pointerId;
  canvas.setPointerCapture(painting);
  begin(place(event));
  draw(place(event));
});
canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId === painting) draw(place(event));
});
canvas.addEventListener("lostpointercapture", () => (painting = null));
canvas.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move && event.key !== " ") return;
  event.preventDefault();
  if (move) {
    const step = Number(size.value) / 3;
    const limit = (value, most) => Math.min(most, Math.max(0, value));
    at = { x: limit(at.x + move[0] * step, canvas.width), y: limit(at.y + move[1] * step, canvas.height) };
    show();
  } else {
    begin(at);
    draw(at);
  }
});

function choose(erase) {
  eraser.setAttribute("aria-pressed", String(erase));
  brush.setAttribute("aria-pressed", String(!erase));
}

brush.addEventListener("click", () => choose(false));
eraser.addEventListener("click", () => choose(true));
document.getElementById("mask-undo").addEventListener("click", () => {
  strokes.pop();
  show();
});
document.getElementById("mask-clear").addEventListener("click", () => {
  strokes = [];
  show();
});
document.getElementById("paint-mask").addEventListener("click", () => {
  canvas.width = source.naturalWidth;
  canvas.height = source.naturalHeight;
  at = { x: canvas.width / 2, y: canvas.height / 2 };
  dialog.showModal();
  show();
});
source.addEventListener("load", () => (strokes = []));
canvas.addEventListener("focus", show);
document.getElementById("mask-done").addEventListener("click", () => {
  const mask = document.createElement("canvas");
  mask.width = canvas.width;
  mask.height = canvas.height;
  const pen = mask.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, mask.width, mask.height);
  pen.drawImage(painted(), 0, 0);
  setMask(strokes.some((stroke) => !stroke.erases) ? mask.toDataURL("image/png") : "");
  dialog.close();
});
