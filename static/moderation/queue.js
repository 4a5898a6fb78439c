// The queue by keyboard. A batch of cases is this moderator's; when it is done, the next one is fetched.
// A key shows its effect at once; what it asks of the server follows in order, one after the other.
import { Desk } from "./desk.js";
import { send, sendLast } from "./send.js";
import { toast } from "./toast.js";

const UNDO_MS = 10_000;
const KEEP_MS = 60_000; // claims last five minutes
const words = JSON.parse(document.getElementById("words").textContent);
const filters = document.getElementById("filters");
const place = document.getElementById("cases");
const desk = new Desk(place, words);
const undoable = []; // {ids: a promise of what was decided, until}
let cleared = 0;
let work = Promise.resolve(); // the end of the line of requests
let loading = false;
let waiting = false;

function inLine(act) {
  work = work.then(act).catch((error) => { toast(`${words.failed} (${error.message})`, { alarm: true }); });
  return work;
}

/** What got no answer may not have been done: the case is open again. If it was, the server says so. */
async function sendFor(one, url, fields) {
  try {
    return await send(url, fields);
  } catch (error) {
    desk.reopen(one.dataset.id);
    throw error;
  }
}

async function load() {
  if (loading) { return; }
  loading = true;
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await send(place.dataset.batch, Object.fromEntries(new FormData(filters)));
    desk.fill(await answer.text());
    const empty = document.getElementById("empty");
    empty.hidden = desk.cases.length > 0;
    empty.textContent = words.nothing;
  } finally {
    loading = false;
    place.setAttribute("aria-busy", "false");
  }
}

function count(difference) {
  cleared += difference;
  document.getElementById("cleared").textContent = cleared;
}

async function forward() {
  if (!desk.toNextOpen()) { await inLine(load); }
}

function decide(decision, alike) {
  const one = desk.current;
  if (!one || desk.isDone(one)) { return undefined; }
  const fields = { decision, reason: desk.reason(one), alike: alike ? "1" : "" };
  desk.mark(one.dataset.id, decision);
  const entry = { until: Date.now() + UNDO_MS, ids: [] };
  undoable.push(entry);
  const forget = () => undoable.splice(undoable.indexOf(entry), 1);
  const answered = inLine(async () => {
    const answer = await sendFor(one, one.dataset.decide, fields).catch((error) => { forget(); throw error; });
    if (!answer.ok) { desk.mark(one.dataset.id, "lost"); forget(); return; }
    entry.ids = (await answer.json()).decided;
    entry.ids.forEach((id) => desk.mark(id, decision));
    count(entry.ids.length);
    toast(`${words[decision]}: ${entry.ids.length}`, { key: "u", hint: words.undo, ms: UNDO_MS });
  });
  if (!alike) { return forward(); }
  waiting = true; // which of the next ones are decided by this, only the server knows
  return answered.then(() => { waiting = false; return forward(); });
}

function undo() {
  return inLine(async () => {
    const entry = undoable.pop();
    if (!entry) { toast(words.noUndo); return; }
    if (Date.now() > entry.until) { undoable.length = 0; toast(words.late); return; }
    const answer = await send(place.dataset.undo, { cases: JSON.stringify(entry.ids) }).catch((error) => { undoable.push(entry); throw error; });
    if (!answer.ok) { toast(words.late); return; }
    const { undone } = await answer.json();
    count(-undone.length);
    if (!undone.filter((id) => desk.reopen(id)).length) { await load(); } // those that are this moderator's come first
    desk.show(Math.max(0, desk.cases.findIndex((one) => one.dataset.id === undone[0])));
    toast(words.undone);
  });
}

function escalate() {
  const one = desk.current;
  if (!one || desk.isDone(one)) { return undefined; }
  desk.mark(one.dataset.id, "escalate");
  inLine(async () => {
    const answer = await sendFor(one, one.dataset.escalate, {});
    if (answer.ok) { return; }
    const { detail } = await answer.json();
    if (!detail) { desk.mark(one.dataset.id, "lost"); return; }
    desk.reopen(one.dataset.id); // it is still this moderator's, and says why
    toast(detail, { alarm: true });
  });
  return forward();
}

const drafts = new Map(); // notes that could not be kept, by case

function note() {
  const one = desk.current;
  const dialog = document.getElementById("note");
  const text = dialog.querySelector("textarea");
  if (!one) { return; }
  text.value = drafts.get(one) ?? "";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    const said = text.value.trim();
    if (dialog.returnValue !== "save" || !said) { one.focus({ preventScroll: true }); return; }
    drafts.delete(one);
    inLine(async () => {
      const answer = await send(one.dataset.note, { text: said }).catch((error) => { drafts.set(one, said); throw error; });
      if (!answer.ok) { drafts.set(one, said); toast(words.failed, { alarm: true }); return; }
      desk.addNote(one, (await answer.json()).by, said);
      toast(words.noted);
    });
    one.focus({ preventScroll: true });
  }, { once: true });
  dialog.showModal();
}

const keys = {
  j: () => desk.show(desk.index + 1), ArrowDown: () => desk.show(desk.index + 1),
  k: () => desk.show(desk.index - 1), ArrowUp: () => desk.show(desk.index - 1),
  a: () => decide("approve", false), A: () => decide("approve", true),
  r: () => decide("reject", false), R: () => decide("reject", true),
  e: escalate, u: undo, n: note, " ": () => desk.toggleClear(),
  "?": () => document.getElementById("help").showModal(),
};
const MOVES = new Set(["j", "k", "ArrowDown", "ArrowUp"]);
const ITS_OWN = "button, a, summary, input[type=checkbox], input[type=radio]:not(:checked)"; // what the space bar is for

/** By Shift alone: with Caps Lock on, one key must not decide all alike. */
function named({ key, shiftKey }) {
  if (!/^[a-z]$/i.test(key)) { return key; }
  return shiftKey ? key.toUpperCase() : key.toLowerCase();
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  const key = named(event);
  const typing = target.matches("select, textarea, input:not([type=radio]):not([type=checkbox])");
  if (event.ctrlKey && key === "Enter" && target.matches("#note textarea")) { target.closest("dialog").close("save"); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector("dialog[open]")) { return; }
  if ((key === " " || key === "Enter") && target.matches(ITS_OWN)) { return; }
  if (/^[1-9]$/.test(key)) { desk.chooseReason(Number(key)); event.preventDefault(); return; }
  if (!(key in keys)) { return; }
  event.preventDefault();
  if (event.repeat && !MOVES.has(key)) { return; } // a key that is held must not decide what nobody saw
  if (loading || waiting) { return; }
  keys[key]();
});

document.querySelector(".actions").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || loading || waiting) { return; }
  if (event.detail > 1) { return; } // nor must the second half of a double click
  const key = button.dataset.key;
  keys[event.shiftKey && key.toUpperCase() in keys ? key.toUpperCase() : key]();
});
document.getElementById("note").querySelector("form").addEventListener("submit", (event) => {
  event.target.closest("dialog").returnValue = event.submitter?.value ?? "";
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = new URLSearchParams([...new FormData(filters)].filter(([name, value]) => value && name !== "csrfmiddlewaretoken"));
  history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
  inLine(async () => { await send(place.dataset.giveBack, {}); await load(); });
});
setInterval(() => {
  const open = desk.cases.filter((one) => !desk.isDone(one)).map((one) => one.dataset.id);
  if (!open.length || document.hidden) { return; }
  inLine(async () => {
    const { held } = await (await send(place.dataset.keep, { cases: JSON.stringify(open) })).json();
    open.filter((id) => !held.includes(id)).forEach((id) => desk.mark(id, "lost"));
  });
}, KEEP_MS);
addEventListener("pageshow", (event) => { if (event.persisted) { location.reload(); } }); // its cases were given back
addEventListener("pagehide", () => sendLast(place.dataset.giveBack));
inLine(load);
