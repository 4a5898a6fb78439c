// Runs as they are drawn: one event stream each while there are few, and the rest ask now and then. Over plain HTTP a
// browser keeps six connections to a host for all its tabs together: a tab that nobody looks at has none. The end of a
// run is the server's own rendering of it.
const MOST_STREAMS = 2;
const ASK_SECONDS = 2;
const streams = new Map();

// Each asks for itself: htmx lets one element wait for one answer at a time. What is still here afterwards was not
// answered (toasts.js says so), and is looked after again.
async function refresh(run) {
  run.dataset.asks = "true";
  await htmx.ajax("GET", run.dataset.self, { source: run, target: run, swap: "outerHTML" }).catch(() => {});
  if (!run.isConnected) return;
  await new Promise((later) => setTimeout(later, ASK_SECONDS * 1000));
  delete run.dataset.asks;
  watch();
}

function preview(run, { index, content_type: type, image }) {
  const picture = run?.querySelector(`[data-slot="${index}"] .slot-wait img`);
  if (!picture) return;
  picture.src = `data:${type};base64,${image}`;
  picture.hidden = false;
}

function follow({ dataset: { run: id, stream: address } }) {
  const stream = new EventSource(address);
  const run = () => document.getElementById(`run-${id}`); // canceling puts another one in its place
  streams.set(id, stream);
  const end = () => {
    if (streams.get(id) !== stream) return; // left meanwhile
    leave(id);
    if (run()) refresh(run());
  };
  stream.addEventListener("progress", (event) => {
    const bar = run()?.querySelector("progress");
    if (bar) bar.value = JSON.parse(event.data).progress;
  });
  stream.addEventListener("preview", (event) => preview(run(), JSON.parse(event.data)));
  stream.addEventListener("status", (event) => {
    if (JSON.parse(event.data).status !== run()?.dataset.status) end();
  });
  stream.addEventListener("done", end);
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(end, ASK_SECONDS * 1000);
  });
}

function leave(id) {
  streams.get(id).close();
  streams.delete(id);
}

function leaveAll() {
  for (const id of [...streams.keys()]) leave(id);
}

function watch() {
  if (document.hidden) return;
  for (const id of [...streams.keys()]) {
    if (!document.getElementById(`run-${id}`)?.dataset.stream) leave(id);
  }
  for (const run of document.querySelectorAll(".run[data-stream]")) {
    if (streams.has(run.dataset.run) || run.dataset.asks) continue;
    if (streams.size < MOST_STREAMS) follow(run);
    else {
      run.dataset.asks = "true";
      setTimeout(() => run.isConnected && refresh(run), ASK_SECONDS * 1000);
    }
  }
}

document.body.addEventListener("htmx:afterSettle", () => {
  if (document.querySelector(".run")) document.getElementById("no-runs")?.remove();
  watch();
});
// On a narrow screen the runs are below the form: go to them.
document.getElementById("playground").addEventListener("htmx:afterRequest", (event) => {
  const runs = document.getElementById("runs");
  const form = event.currentTarget;
  const { elt, successful, xhr } = event.detail;
  const drawn = elt === form && successful && xhr.status < 400; // to htmx a refusal that is shown is a success
  if (drawn && runs.offsetTop > form.offsetTop + form.offsetHeight) {
    runs.scrollIntoView({ block: "start" });
  }
});
document.getElementById("grid-form").addEventListener("htmx:afterRequest", () => {
  document.getElementById("grid-dialog").close();
});
document.addEventListener("visibilitychange", () => (document.hidden ? leaveAll() : watch()));
addEventListener("pagehide", leaveAll);
addEventListener("pageshow", watch);
watch();
