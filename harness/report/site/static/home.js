"use strict";
// Table and plot of the first page, of the group that comes first.
(() => {
  const box = Site.one("#home-plot");
  if (!box) return;
  const filter = { ...SITE.defaults, protocol: SITE.defaults.group, batch: String(SITE.defaults.batch) };
  const group = Model.groups.get(filter.protocol), rows = Model.rows(filter);
  const columns = SITE.home.map((key) => Model.quantities.get(key));
  const theirs = (row) => group.paper.find((point) => point.network === row.network && point.checkpoint === row.checkpoint)?.values.miou ?? null;
  Site.one("#size").replaceChildren(...Model.sizeNote(rows, filter));
  const last = group.paper.length ? (row) => Site.el("td", { class: Site.isNumber(theirs(row)) ? "" : "na", "data-order": theirs(row) ?? -1 }, Site.number(theirs(row), 2)) : () => null;
  const table = Site.one("#home-table");
  Site.one("thead tr", table).append(...columns.map((q) => Site.el("th", { scope: "col", title: q.definition }, q.label)));
  if (group.paper.length) Site.one("thead tr", table).append(Site.el("th", { scope: "col" }, SITE.words.paper_miou));
  Site.one("tbody", table).append(...rows.map((row) => Site.el("tr", {}, Site.el("th", { scope: "row" }, Model.name(row)), ...columns.map((q) => Model.cell(row, q, filter)), last(row))));
  Site.sortable(table, { order: [[1, "desc"]] });

  const [x, y] = [SITE.defaults.cost, "miou"];
  const points = rows.map((row) => ({ row, a: Model.figure(row, x, filter), b: Model.figure(row, y, filter) }))
    .filter((p) => Site.isNumber(p.a.value) && Site.isNumber(p.b.value));
  const narrow = box.clientWidth < 560; // labels would lie over each other
  const places = points.map((p) => p.a.value), middle = (Math.min(...places) + Math.max(...places)) / 2;
  Site.plot(box, (color) => ({
    data: points.map(({ row, a, b }) => ({
      type: "scatter", mode: narrow ? "markers" : "markers+text", name: row.title, x: [a.value], y: [b.value], text: [`  ${row.title}  `], textposition: a.value > middle ? "middle left" : "middle right", cliponaxis: false,
      marker: { size: 14, color: SITE.colors[row.network] },
      error_y: Site.isNumber(b.low) ? { type: "data", symmetric: false, array: [b.high - b.value], arrayminus: [b.value - b.low], color: color("soft"), thickness: 1 } : undefined,
      hovertemplate: `<b>${row.title}</b><br>%{x:.0f} MiB, %{y:.2f} %<extra></extra>`,
    })),
    layout: { showlegend: narrow, legend: { orientation: "h", y: -0.3, font: { size: 11 } }, margin: { l: 60, r: 40, t: 30, b: 55 }, xaxis: { title: { text: Model.quantities.get(x).label } }, yaxis: { title: { text: Model.quantities.get(y).label } } },
  }));
})();
