// `data-dialog-open="id"` opens that <dialog>; a click beside it closes it. Escape is the browser's own. A form that
// came back with errors is opened at once (`data-open-now`).
for (const dialog of document.querySelectorAll("dialog[data-open-now]")) dialog.showModal();

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) document.getElementById(opener.dataset.dialogOpen).showModal();
  if (event.target instanceof HTMLDialogElement && event.target.open) event.target.close();
});
