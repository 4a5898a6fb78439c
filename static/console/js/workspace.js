// Another tab may have switched to another workspace: whatever a form sends says which one its page is of, and the server
// refuses what was meant for another. htmx says it by a header (document.html).
const { workspace } = document.body.dataset;

document.addEventListener("formdata", (event) => {
  if (workspace && event.target.method === "post") event.formData.set("workspace", workspace);
});
