// The live list: begins as the page says, goes on by the workspace's event stream. A job that is new here is fetched as
// a row; one that ended is fetched again, for its picture, and stays. What nobody listened to is looked up in the page.
const list = document.getElementById("jobs");
const none = document.getElementById("no-jobs");
const state = document.querySelector("[data-live-state]");
const MOST_ROWS = 100;
const PAUSE = 5000; // milliseconds until what failed is tried again; the stream waits twice as long each time
const LONGEST_PAUSE = 60000;
const UNFINISHED = "[data-status=queued], [data-status=running]";
const asked = new Map(); // generation → whether its state changed while its row was on its way
let events = null;
let pause = PAUSE;
let retrying = 0;

function tell(on) {
  state.dataset.liveState = on ? "on" : "off";
  state.querySelector("[data-live-words]").textContent = on ? state.dataset.on : state.dataset.off;
}

function rowOf(generation) {
  return document.getElementById(`job-${generation}`);
}

// What the server shows there; null: nothing any more.
async function read(address) {
  const headers = { "X-Requested-With": "fetch", "X-Workspace": document.body.dataset.workspace };
  const answer = await fetch(address, { headers });
  if (answer.status === 404) return null;
  if ([401, 403, 409].includes(answer.status)) location.reload(); // signed out or switched: the whole page shows it
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function put(made) {
  const old = document.getElementById(made.id);
  if (old) old.replaceWith(made);
  else list.prepend(made);
  window.htmx?.process(made);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
}

async function fetchRow(generation) {
  const page = await read(list.dataset.row.replace("00000000-0000-0000-0000-000000000000", generation));
  if (page) put(page.querySelector("li"));
  else rowOf(generation)?.remove(); // erased
  none.hidden = list.children.length > 0;
}

async function refresh(generation) {
  if (asked.has(generation)) {
    asked.set(generation, true);
    return;
  }
  asked.set(generation, false);
  try {
    await fetchRow(generation);
  } catch (error) {
    console.warn("live", error);
    await new Promise((later) => setTimeout(later, PAUSE));
    asked.set(generation, true);
  }
  const again = asked.get(generation);
  asked.delete(generation);
  if (again) refresh(generation);
}

// What began, went on or ended while nobody listened. The page has all that is unfinished.
async function catchUp() {
  const rows = [...(await read(location.href)).querySelectorAll("#jobs > li")];
  const unfinished = new Set(rows.map((row) => row.id));
  for (const row of list.querySelectorAll(UNFINISHED)) {
    if (!unfinished.has(row.id)) refresh(row.id.slice("job-".length));
  }
  for (const row of rows.reverse()) {
    const generation = row.id.slice("job-".length);
    if (rowOf(generation)?.dataset.status === row.dataset.status) continue;
    if (rowOf(generation) || asked.has(generation)) refresh(generation); // the page may be older than the row
    else put(row);
  }
  none.hidden = list.children.length > 0;
}

function progressed({ generation, progress }) {
  const row = rowOf(generation);
  if (!row) return refresh(generation);
  const bar = row.querySelector("progress");
  bar.hidden = false;
  bar.value = progress;
}

function previewed({ generation, content_type, image }) {
  const place = rowOf(generation)?.querySelector(".job-picture");
  if (!place || !/^image\/(png|jpeg|webp)$/.test(content_type)) return;
  const picture = Object.assign(new Image(64, 64), { alt: "", src: `data:${content_type};base64,${image}` });
  place.replaceChildren(picture);
}

async function opened() {
  tell(true);
  try {
    await catchUp();
    pause = PAUSE;
  } catch (error) {
    console.warn("live", error);
    retry();
  }
}

function broken() {
  tell(false);
  if (events.readyState === EventSource.CLOSED) retry(); // otherwise the browser comes back by itself
}

// First the page: it says whether one is still signed in, which a stream does not.
function retry() {
  clearTimeout(retrying);
  retrying = setTimeout(() => catchUp().then(connect, retry), pause);
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

function connect() {
  leave();
  events = new EventSource(list.dataset.events);
  events.addEventListener("open", opened);
  events.addEventListener("error", broken);
  events.addEventListener("status", (event) => refresh(JSON.parse(event.data).generation));
  events.addEventListener("done", (event) => refresh(JSON.parse(event.data).generation));
  events.addEventListener("progress", (event) => progressed(JSON.parse(event.data)));
  events.addEventListener("preview", (event) => previewed(JSON.parse(event.data)));
}

function leave() {
  clearTimeout(retrying);
  events?.close();
}

addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => event.persisted && connect());
connect();
