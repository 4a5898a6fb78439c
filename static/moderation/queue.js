// The queue by keyboard. A batch of cases belongs to this moderator; when it is done, the next one is fetched.
"use strict";
(() => {
  const place = document.getElementById("cases");
  const status = document.getElementById("status");
  const filters = document.getElementById("filters");
  const token = filters.querySelector("[name=csrfmiddlewaretoken]").value;
  const UNDO_MS = 10000;
  let current = -1;
  let last = null; // what can be undone: {ids, until}
  let busy = false;
  let cleared = 0;

  const cases = () => [...place.querySelectorAll(".case")];
  const say = (text) => { status.textContent = text; };

  async function post(url, fields) {
    const body = new URLSearchParams(fields);
    const response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token } });
    if (response.redirected) { location.reload(); }
    return response;
  }

  function show(index) {
    const all = cases();
    if (!all.length) { current = -1; return; }
    current = Math.max(0, Math.min(index, all.length - 1));
    all.forEach((each, position) => each.classList.toggle("current", position === current));
    all[current].focus({ preventScroll: true });
    all[current].scrollIntoView({ block: "nearest" });
  }

  function nextOpen() {
    const all = cases();
    return all.findIndex((each) => !each.classList.contains("done"));
  }

  async function load() {
    const fields = Object.fromEntries(new FormData(filters));
    const response = await post(place.dataset.batch, fields);
    place.innerHTML = await response.text();
    show(0);
    if (!cases().length) { say(`Nothing waits. ${cleared} decided.`); }
  }

  async function forward() {
    const open = nextOpen();
    if (open >= 0) { show(open); } else { await load(); }
  }

  function mark(id, text) {
    const found = cases().find((each) => each.dataset.id === id);
    if (found) { found.classList.add("done"); found.querySelector(".outcome").textContent = text; }
  }

  async function decide(decision, alike) {
    const one = cases()[current];
    if (!one || one.classList.contains("done")) { return; }
    const reason = one.querySelector(".reason").value;
    const response = await post(one.dataset.decide, { decision, reason, alike: alike ? "1" : "" });
    if (response.ok) {
      const { decided } = await response.json();
      decided.forEach((id) => mark(id, decision));
      cleared += decided.length;
      last = { ids: decided, until: Date.now() + UNDO_MS };
      say(`${decision}: ${decided.length}. ${cleared} decided. u undoes it within 10 s.`);
    } else {
      mark(one.dataset.id, "somebody else's by now");
    }
    await forward();
  }

  async function undo() {
    if (!last || Date.now() > last.until) { say("Nothing to undo any more."); return; }
    const response = await post(place.dataset.undo, { cases: JSON.stringify(last.ids) });
    if (response.ok) {
      cleared -= last.ids.length;
      last = null;
      await load();
      say("Undone.");
    } else { say("Too late."); }
  }

  async function escalate() {
    const one = cases()[current];
    if (!one || one.classList.contains("done")) { return; }
    const response = await post(one.dataset.escalate, {});
    mark(one.dataset.id, response.ok ? "escalated" : "somebody else's by now");
    await forward();
  }

  async function note() {
    const one = cases()[current];
    const text = one && prompt("Note");
    if (text) { const response = await post(one.dataset.note, { text }); say(response.ok ? "Noted." : "Not noted."); }
  }

  function unblur() {
    const image = cases()[current]?.querySelector("img[data-clear]");
    if (image) { image.src = image.dataset.clear; delete image.dataset.clear; }
  }

  const keys = {
    j: () => show(current + 1), k: () => show(current - 1), a: () => decide("approve"), r: () => decide("reject"),
    R: () => decide("reject", true), e: escalate, u: undo, n: note, " ": unblur,
  };

  document.addEventListener("keydown", async (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) { return; }
    const one = cases()[current];
    if (/^[1-9]$/.test(event.key) && one) {
      const reasons = one.querySelector(".reason");
      reasons.selectedIndex = Math.min(Number(event.key), reasons.options.length) - 1;
      return;
    }
    const act = keys[event.key];
    if (!act) { return; }
    event.preventDefault();
    if (busy) { return; } // one key at a time: a held key must not decide what nobody saw
    busy = true;
    try { await act(); } catch (error) { say(`It did not work: ${error.message}`); } finally { busy = false; }
  });
  filters.addEventListener("submit", (event) => { event.preventDefault(); load(); });
  load();
})();
