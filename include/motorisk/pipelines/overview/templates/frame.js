
// In Airflow's frame: links to Airflow's own pages open in the whole window. The frame's sandbox forbids that to a
// link in the page, so the window around it, which is of the same origin, follows one of its own.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || parent === self || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const outside = Object.assign(parent.document.createElement("a"), { href: link.href });
  event.preventDefault();
  parent.document.body.append(outside);
  outside.click();
  outside.remove();
});
