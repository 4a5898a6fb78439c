// A second click on a button whose answer is still on its way sends nothing: a secret that is rotated twice ends the one
// that was to stay good. Not for ever, because a download leaves the page as it is.
const AGAIN = 5000; // milliseconds
const sent = new WeakSet(); // buttons, or forms that were sent without one

document.addEventListener("submit", (event) => {
  const sender = event.submitter ?? event.target;
  if (event.target.method !== "post") return;
  if (sent.has(sender)) {
    event.preventDefault();
    return;
  }
  sent.add(sender);
  setTimeout(() => sent.delete(sender), AGAIN);
});

// What was changed since is another form.
document.addEventListener("change", ({ target: { form } }) => {
  for (const sender of form ? [form, ...form.elements] : []) sent.delete(sender);
});
