// The live list: begins as the page says, goes on by the workspace's event stream. A job that is new here is fetched as
// a row; one that ended is fetched again, for its picture, and stays.
const list = document.getElementById("jobs");
const none = document.getElementById("no-jobs");
const state = document.querySelector("[data-live-state]");
const MOST_ROWS = 100;
const asked = new Map(); // generation → the fetch under way

function tell(on) {
  state.dataset.liveState = on ? "on" : "off";
  state.querySelector("[data-live-words]").textContent = on ? state.dataset.on : state.dataset.off;
}

function rowOf(generation) {
  return document.getElementById(`job-${generation}`);
}

async function fetchRow(generation) {
  const address = list.dataset.row.replace("00000000-0000-0000-0000-000000000000", generation);
  const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" } });
  if (!answer.ok) return; // erased meanwhile
  const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("li");
  const old = rowOf(generation);
  if (old) old.replaceWith(made);
  else list.prepend(made);
  window.htmx?.process(made);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  none.hidden = list.children.length > 0;
}

function refresh(generation) {
  if (asked.has(generation)) {
    asked.set(generation, "again"); // its state changed while the row was on its way
    return;
  }
  asked.set(generation, "once");
  fetchRow(generation)
    .catch((error) => console.warn("live", error))
    .finally(() => {
      const again = asked.get(generation) === "again";
      asked.delete(generation);
      if (again) refresh(generation);
    });
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

const events = new EventSource(list.dataset.events);
events.addEventListener("open", () => tell(true));
events.addEventListener("error", () => tell(false));
events.addEventListener("status", (event) => refresh(JSON.parse(event.data).generation));
events.addEventListener("done", (event) => refresh(JSON.parse(event.data).generation));
events.addEventListener("progress", (event) => progressed(JSON.parse(event.data)));
events.addEventListener("preview", (event) => previewed(JSON.parse(event.data)));
addEventListener("pagehide", () => events.close());
