// An answer that says no comes with its own status and says where it belongs; htmx shows it there.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.xhr.getResponseHeader("HX-Retarget")) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
});
document.getElementById("playground-problem").addEventListener("htmx:afterSwap", (event) => {
  event.currentTarget.scrollIntoView({ block: "nearest" });
});
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb === "post" && !event.target.closest("#quote")) {
    document.getElementById("playground-problem").replaceChildren();
  }
});
