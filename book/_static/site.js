// Whatever scrolls sideways inside the page can be reached and scrolled with the keyboard.
function makeScrollersReachable() {
  const boxes = ".bd-article pre, .bd-article div.math, .bd-article div.amsmath, .bd-article div.cell_output," +
    " .bd-article .pst-scrollable-table-container, .bd-article p mjx-container, .bd-article div.output";
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else if (box.tagName !== "MJX-CONTAINER") box.removeAttribute("tabindex");
  }
}

// The label of a folded cell is what it says ("Solution 2.3" from its first line), not a general phrase.
function nameSolutions() {
  for (const summary of document.querySelectorAll("details.hide > summary")) {
    summary.removeAttribute("aria-label");
    const title = /# @title (Solution [\d.]+)/.exec(summary.parentElement.textContent);
    if (title) for (const prompt of summary.querySelectorAll("p")) prompt.textContent = title[1];
  }
}

// Landmarks and roles that the theme leaves out, or that newer standards have dropped.
function repairRoles() {
  const sidebar = document.querySelector(".bd-sidebar-primary");
  if (sidebar) {
    sidebar.setAttribute("role", "region");
    sidebar.setAttribute("aria-label", "Book");
  }
  for (const entry of document.querySelectorAll(".citation-list, [role=doc-biblioentry]")) entry.removeAttribute("role");
}

// The corner of a table is no header if it says nothing.
function emptyCorners() {
  for (const head of document.querySelectorAll(".bd-article th")) {
    if (head.textContent.trim() || head.children.length > 1) continue;
    const cell = document.createElement("td");
    cell.className = head.className;
    head.replaceWith(cell);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  nameSolutions();
  repairRoles();
  emptyCorners();
});
window.addEventListener("load", () => {
  makeScrollersReachable();
  if (window.MathJax?.startup?.promise) window.MathJax.startup.promise.then(makeScrollersReachable);
  document.addEventListener("toggle", makeScrollersReachable, true);
  window.addEventListener("resize", makeScrollersReachable);
});
