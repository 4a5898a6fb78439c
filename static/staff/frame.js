// What unfold's templates look up while Alpine's CSP build reads them: it knows no globals, only what is given to it.
const SIDE = "easel_staff_side";

function frame() {
  return {
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem(SIDE) !== "closed",
    filterOpen: false,
    openModal: false,
    activeTab: "general", // unfold hides what belongs to another tab
    window: { location: { pathname: location.pathname, search: location.search } }, // the change form's own address
    init() {
      document.body.classList.remove("starting");
      addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.sidebarMobileOpen = false;
      });
    },
    switchSide() {
      this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
      localStorage.setItem(SIDE, this.sidebarDesktopOpen ? "open" : "closed");
    },
  };
}

document.addEventListener("alpine:init", () => {
  Alpine.data("frame", frame);
  Alpine.data("searchForm", searchForm); // of unfold's app.js
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.staff-person[open], details.staff-corner[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
