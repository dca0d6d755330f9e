
// In Airflow's frame: a page is light or dark as was chosen in Airflow, which keeps that in the storage of its origin.
// Where nothing was chosen, or the storage is closed, the page follows the system, as Airflow does.
const follow = () => {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch {}
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
};
follow();
addEventListener("storage", follow);

// Links to Airflow's own pages open in the whole window. The frame's sandbox forbids that to a link in the page, so the
// window around it, which is of the same origin, follows one of its own.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || parent === self || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const outside = Object.assign(parent.document.createElement("a"), { href: link.href });
  event.preventDefault();
  parent.document.body.append(outside);
  outside.click();
  outside.remove();
});
