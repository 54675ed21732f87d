"use strict";
// Tables whose header cells hold a button are sorted by that column; cells carry what they are sorted by.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead th")], body = table.querySelector("tbody");
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.by ?? "";
    const numeric = head.classList.contains("n"), natural = new Intl.Collator("en", { numeric: true });
    const rows = [...body.rows].sort((p, q) => {
      const [a, b] = [key(p), key(q)];
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last, either way
      return (numeric ? a - b : natural.compare(a, b)) * (up ? 1 : -1);
    });
    body.append(...rows);
  }));
}
