// The cases of one batch on the page: which one is looked at, and what became of each.
export class Desk {
  constructor(place, words) {
    this.place = place;
    this.words = words;
    this.strip = document.getElementById("strip");
    this.eye = document.getElementById("eye");
    this.index = -1;
    this.cases = [];
    this.strip.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) { this.show([...this.strip.children].indexOf(button.parentElement)); }
    });
  }

  get current() { return this.cases[this.index]; }

  isDone(one) { return "outcome" in one.dataset; }

  /** The server's own fragment: everything in it is escaped there. */
  fill(fragment) {
    this.place.innerHTML = fragment;
    this.cases = [...this.place.querySelectorAll(".case")];
    document.getElementById("waiting").textContent = this.place.querySelector(".batch").dataset.waiting;
    this.strip.replaceChildren(...this.cases.map((one, index) => this.chip(one, index)));
    this.cases.forEach((one) => one.querySelectorAll("img").forEach((image) => image.addEventListener("error", () => this.missing(image))));
    this.index = -1;
    this.show(0);
  }

  chip(one, index) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.severity = one.dataset.severity;
    button.textContent = String(index + 1);
    button.setAttribute("aria-label", `${index + 1}: ${one.getAttribute("aria-label")}`);
    item.append(button);
    return item;
  }

  show(index) {
    if (!this.cases.length) { this.index = -1; return; }
    this.index = Math.max(0, Math.min(index, this.cases.length - 1));
    this.cases.forEach((one, position) => { one.hidden = position !== this.index; });
    [...this.strip.children].forEach((item, position) => {
      if (position === this.index) { item.firstChild.setAttribute("aria-current", "true"); } else { item.firstChild.removeAttribute("aria-current"); }
    });
    this.current.focus({ preventScroll: true });
    this.strip.children[this.index].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.ahead(this.current);
    if (this.cases[this.index + 1]) { this.ahead(this.cases[this.index + 1]); }
    this.sayEye();
  }

  /** Its clear picture is fetched, so that it is there when it is asked for. */
  ahead(one) {
    const clear = one.querySelector("img.clear[data-src]");
    if (clear && !this.isDone(one)) { clear.src = clear.dataset.src; delete clear.dataset.src; }
  }

  toggleClear() {
    const one = this.current;
    const clear = one?.querySelector("img.clear");
    if (!clear || !clear.getAttribute("src")) { return; }
    if (!clear.complete) { clear.addEventListener("load", () => { if (this.current === one) { this.toggleClear(); } }, { once: true }); return; }
    clear.hidden = !clear.hidden;
    one.querySelector("img.blurred")?.toggleAttribute("hidden", !clear.hidden); // none where it could not be had
    this.sayEye();
  }

  sayEye() {
    const clear = this.current?.querySelector("img.clear");
    this.eye.textContent = clear && !clear.hidden ? this.words.blur : this.words.unblur;
    this.eye.closest("button").disabled = !clear;
  }

  missing(image) {
    const said = document.createElement("p");
    said.className = "nothing";
    said.textContent = this.words.noPicture;
    if (image.classList.contains("blurred")) { image.replaceWith(said); } else { image.remove(); }
    this.sayEye();
  }

  toNextOpen() {
    const open = (one) => !this.isDone(one);
    const after = this.cases.findIndex((one, position) => position > this.index && open(one));
    const next = after >= 0 ? after : this.cases.findIndex(open);
    if (next >= 0) { this.show(next); }
    return next >= 0;
  }

  mark(id, outcome) {
    const index = this.cases.findIndex((one) => one.dataset.id === id);
    if (index < 0) { return; }
    const one = this.cases[index];
    one.dataset.outcome = outcome;
    this.strip.children[index].firstChild.dataset.outcome = outcome;
    const said = one.querySelector(".outcome");
    said.textContent = this.words[outcome];
    said.hidden = false;
    one.querySelectorAll("img").forEach((image) => { image.hidden = image.classList.contains("clear"); });
  }

  /** Whether the case is on this page. */
  reopen(id) {
    const index = this.cases.findIndex((one) => one.dataset.id === id);
    if (index < 0) { return false; }
    delete this.cases[index].dataset.outcome;
    delete this.strip.children[index].firstChild.dataset.outcome;
    this.cases[index].querySelector(".outcome").hidden = true;
    return true;
  }

  reason(one) { return one.querySelector(".reasons input:checked")?.value ?? ""; }

  chooseReason(number) {
    const choices = this.current?.querySelectorAll(".reasons input") ?? [];
    if (choices[number - 1]) { choices[number - 1].checked = true; }
  }

  addNote(one, by, text) {
    const item = document.createElement("li");
    const who = document.createElement("b");
    who.textContent = by;
    item.append(who, document.createElement("br"), text);
    one.querySelector(".notes ul").append(item);
    one.querySelector(".notes").hidden = false;
  }
}
