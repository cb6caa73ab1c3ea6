"use strict";
// A score against a cost, and which networks fit a budget.
(() => {
  const { one, el, say, number } = Site;
  const form = one("#axes");
  if (!form) return;
  const box = one("#plot"), detail = one("#detail");
  const scores = SITE.quantities.filter((q) => q.kind === "score"), costs = SITE.quantities.filter((q) => q.kind !== "score");
  const budgets = costs.filter((q) => q.budget);
  let filter = {}, chosen = Site.state().point ?? "";

  Site.options(one("[name=protocol]"), SITE.groups.map((g) => [g.id, g.title]), Site.state().protocol ?? SITE.defaults.group);
  Site.options(one("[name=y]"), scores.map((q) => [q.key, q.label]), "miou");
  Site.options(one("[name=x]"), costs.map((q) => [q.key, q.label]), SITE.defaults.cost);
  const fillCheckpoints = () => {
    const group = Model.groups.get(one("[name=protocol]").value);
    Site.options(one("[name=checkpoint]"), group.checkpoints.map((c) => [c, c]), group.shown);
  };
  fillCheckpoints();
  one("[name=protocol]").addEventListener("input", fillCheckpoints);
  Model.deviceOptions(form);

  /** Stops of a slider: 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times powers of ten around the values; the last is no limit. */
  function stops(key) {
    const values = Model.rows(filter).map((row) => Model.figure(row, key, filter).value).filter(Site.isNumber);
    const limit = Number(Site.state()[`max_${key}`]); // it stays a stop where the values it was set among are gone
    const kept = limit > 0 ? [limit] : [];
    if (!values.length) return kept;
    const least = Math.min(...values), most = Math.max(...values), found = [];
    for (let power = Math.floor(Math.log10(least)) - 1; power <= Math.ceil(Math.log10(most)); power++) {
      for (const m of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8]) found.push(Number((m * 10 ** power).toPrecision(2)));
    }
    const from = found.findLastIndex((v) => v <= least), to = found.findIndex((v) => v >= most);
    return [...new Set([...found.slice(Math.max(0, from - 1), (to < 0 ? found.length : to) + 1), ...kept])].sort((a, b) => a - b);
  }

  /** The sliders, made anew where the values they span have changed. */
  function sliders() {
    const holder = one("#budgets"), given = Site.state(), made = JSON.stringify(budgets.map((q) => stops(q.key)));
    if (holder.dataset.made === made) return;
    holder.dataset.made = made;
    holder.replaceChildren(...budgets.map((q) => {
      const found = stops(q.key), wanted = Number(given[`max_${q.key}`]);
      const at = given[`max_${q.key}`] ? found.indexOf(wanted) : -1;
      const input = el("input", { type: "range", id: `budget-${q.key}`, min: 0, max: found.length, step: 1, value: at < 0 ? found.length : at, "data-budget": q.key, "data-stops": found.join(" "), disabled: !found.length });
      const output = el("output");
      const show = () => {
        const limit = found[input.value];
        const text = !found.length ? SITE.words.not_measured : limit === undefined ? SITE.words.no_limit : `≤ ${number(limit, "significant")} ${q.unit}`;
        output.textContent = text;
        input.setAttribute("aria-valuetext", text);
        input.dataset.limit = limit ?? "";
      };
      input.addEventListener("input", (event) => {
        event.stopPropagation();
        show();
        Site.keep({ ...Site.state(), [`max_${q.key}`]: input.dataset.limit });
        draw();
      });
      show();
      return el("div", { class: "budget" }, output, el("label", { for: `budget-${q.key}` }, q.short), input);
    }));
  }

  const limits = () => Site.all("[data-budget]").filter((i) => i.dataset.limit !== "").map((i) => [i.dataset.budget, Number(i.dataset.limit)]);
  /** Whether a row is within all limits; what was not measured is not. */
  const fits = (row) => limits().every(([key, most]) => { const { value } = Model.figure(row, key, filter); return Site.isNumber(value) && value <= most; });

  function facts(row) {
    return SITE.quantities.map((q) => [q, Model.figure(row, q.key, filter)]).filter(([, f]) => Site.isNumber(f.value));
  }

  const narrow = () => box.clientWidth < 560; // labels would lie over each other
  /** Labels stand right of points in the left half of the plot, and left of the others, so that none is cut off. */
  function sideOf(values) {
    const scale = filter.log === "1" ? Math.log : (v) => v, places = values.map(scale), middle = (Math.min(...places) + Math.max(...places)) / 2;
    return (value) => (scale(value) > middle ? "middle left" : "middle right");
  }

  function traces(rows, color) {
    const [x, y] = [filter.x, filter.y];
    const points = rows.map((row) => ({ row, a: Model.figure(row, x, filter), b: Model.figure(row, y, filter), fit: fits(row) }))
      .filter((p) => Site.isNumber(p.a.value) && Site.isNumber(p.b.value));
    // the paper's costs stand beside costs at its own input size alone
    const beside = filter.paper === "1" && (Model.quantities.get(x).kind !== "cost" || rows.every((row) => (Model.cost(row, filter)?.size ?? SITE.paper_size) === SITE.paper_size));
    const theirs = (beside ? Model.groups.get(filter.protocol).paper : []).filter((p) => p.checkpoint === filter.checkpoint && Site.isNumber(p.values[x]) && Site.isNumber(p.values[y]));
    const side = sideOf([...points.map((p) => p.a.value), ...theirs.map((p) => p.values[x])]);
    const made = points.map(({ row, a, b, fit }) => ({
      type: "scatter", mode: narrow() ? "markers" : "markers+text", name: row.title, x: [a.value], y: [b.value], text: [`  ${row.title}  `], textposition: side(a.value), cliponaxis: false, customdata: [row.id],
      marker: { size: 13, color: fit ? SITE.colors[row.network] : color("line"), line: { width: 1, color: color("bg") } },
      textfont: { color: fit ? color("text") : color("soft") },
      error_y: Site.isNumber(b.low) ? { type: "data", symmetric: false, array: [b.high - b.value], arrayminus: [b.value - b.low], color: color("soft"), thickness: 1, width: 3 } : undefined,
      hovertemplate: `<b>${row.title}</b><br>${facts(row).map(([q, f]) => `${q.label}: ${number(f.value, q.digits)}`).join("<br>")}<extra></extra>`,
    }));
    for (const point of theirs) {
      made.push({
        type: "scatter", mode: narrow() ? "markers" : "markers+text", name: `${point.title} (${SITE.words.paper})`, x: [point.values[x]], y: [point.values[y]], text: [`  ${point.title} (${SITE.words.paper})  `],
        textposition: side(point.values[x]), cliponaxis: false, textfont: { color: color("soft"), size: 11 },
        marker: { size: 13, symbol: "circle-open", color: SITE.colors[point.network] ?? color("soft"), line: { width: 2 } },
        hovertemplate: `<b>${point.title}, ${SITE.words.paper}</b><br>%{x}<br>%{y}<extra></extra>`,
      });
    }
    return { made, theirs, missing: rows.filter((row) => !points.some((p) => p.row === row)) };
  }

  function list(rows) {
    const quantity = Model.quantities.get(filter.y), value = (row) => Model.figure(row, filter.y, filter).value ?? -1;
    const ranked = [...rows].sort((a, b) => fits(b) - fits(a) || value(b) - value(a));
    const columns = [quantity, ...budgets];
    one("#ranking").replaceChildren(
      el("thead", {}, el("tr", {}, el("th", { class: "text" }, SITE.words.name), el("th", { class: "text" }, SITE.words.fits), ...columns.map((q) => el("th", {}, q.label)))),
      el("tbody", {}, ...ranked.map((row) => el("tr", { class: fits(row) ? "" : "off", "data-id": row.id },
        el("th", { scope: "row" }, Model.name(row)), el("td", { class: "text" }, fits(row) ? SITE.words.yes : SITE.words.no),
        ...columns.map((q) => { const f = Model.figure(row, q.key, filter); return el("td", { class: Site.isNumber(f.value) ? "" : "na", title: f.why }, number(f.value, q.digits)); })))));
    const fitting = rows.filter(fits).length;
    one("#fitting").textContent = `${fitting} / ${rows.length}`;
  }

  function show() {
    const row = Model.row(chosen);
    detail.hidden = !row;
    if (!row) return;
    const found = Model.cost(row, filter);
    const records = [...row.runs.map((run) => el("a", { href: `records/runs/${run}.json` }, run)), ...(found ? [el("a", { href: found.record }, found.record.split("/").slice(-2).join("/"))] : [])];
    detail.replaceChildren(say("point", {
      name: Model.name(row), facts: facts(row).flatMap(([q, f]) => [el("dt", {}, q.label), el("dd", {}, number(f.value, q.digits))]),
      records: records.map((link) => el("li", {}, link)),
    }));
  }

  function draw() {
    const rows = Model.rows(filter), x = Model.quantities.get(filter.x), y = Model.quantities.get(filter.y), device = Model.devices.get(filter.device);
    const { missing, theirs } = traces(rows, () => "");
    list(rows);
    one("#missing").replaceChildren(...missing.map((row) => el("li", {}, `${row.title}: ${Model.figure(row, filter.x, filter).why || Model.figure(row, filter.y, filter).why}`)));
    one("#missing-box").hidden = !missing.length;
    const size = Model.otherSize(rows, filter);
    const on = x.kind === "cost" && device ? ` (${device.title}, ${Model.precision(filter)}${x.batched ? `, ${SITE.words.batch} ${filter.batch}` : ""}${size ? `, ${size}` : ""})` : "";
    one("#size").replaceChildren(...Model.sizeNote(rows, filter));
    one("#paper-note").hidden = !theirs.length;
    Site.plot(box, (color) => ({
      data: traces(rows, color).made,
      layout: {
        showlegend: narrow(), legend: { orientation: "h", y: -0.3, font: { size: 11 } }, height: narrow() ? 520 : undefined, xaxis: { title: { text: narrow() ? x.label : x.label + on }, type: filter.log === "1" ? "log" : "linear" }, yaxis: { title: { text: y.label } },
        margin: { l: 60, r: 30, t: 30, b: 60 },
      },
    })).then(() => {
      if (box.dataset.bound) return;
      box.dataset.bound = "1";
      box.on("plotly_click", (event) => {
        const id = event.points[0].customdata;
        if (!id) return;
        chosen = id;
        Site.keep({ ...Site.state(), point: id });
        show();
      });
    });
    show();
  }

  one("#reset").addEventListener("click", () => {
    for (const input of Site.all("[data-budget]")) { input.value = input.max; input.dispatchEvent(new Event("input")); }
  });
  Site.bind(form, (values) => { filter = values; sliders(); draw(); });
})();
