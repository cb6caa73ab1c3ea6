"use strict";
// The leaderboard: a table a group of comparable runs, filters, the comparison of two ticked rows, export.
(() => {
  const { one, all, el, say, number, signed } = Site;
  const form = one("#filters"), tables = one("#tables"), panel = one("#comparison");
  let filter = {}, picked = (Site.state().pick ?? "").split(",").filter((id) => Model.row(id));

  const groupsOf = (dataset) => SITE.groups.filter((g) => !dataset || g.dataset === dataset);
  Site.options(one("[name=dataset]"), [["", SITE.words.all], ...new Map(SITE.groups.map((g) => [g.dataset, g.dataset_title]))], Site.state().dataset ?? "");
  const protocol = one("[name=protocol]");
  const fillProtocols = (chosen) => {
    const found = groupsOf(one("[name=dataset]").value);
    Site.options(protocol, [["", SITE.words.all], ...found.map((g) => [g.id, g.title])], found.some((g) => g.id === chosen) ? chosen : "");
  };
  fillProtocols(Site.state().protocol ?? SITE.defaults.group);
  one("[name=dataset]").addEventListener("input", () => fillProtocols(protocol.value));
  Site.options(one("[name=checkpoint]"), SITE.checkpoints.map((c) => [c, c]), Site.state().checkpoint ?? SITE.defaults.checkpoint);
  Model.deviceOptions(form);

  const sections = SITE.sections.map((section) => ({ ...section, columns: section.keys.map((key) => Model.quantities.get(key)) }));
  const shown = (section) => filter[`show_${section.id}`] !== "0";
  const sectionTitle = (section) => {
    const device = Model.devices.get(filter.device);
    return section.measured && device ? `${section.title}: ${device.title}, ${Model.precision(filter)}, ${SITE.words.batch} ${filter.batch}` : section.title;
  };
  const label = (quantity) => (quantity.kind === "score" ? quantity.name : quantity.label);

  function table(group, rows) {
    const columns = sections.filter(shown);
    const head = el("thead", {},
      el("tr", { class: "groups" }, el("th", { colspan: 3, scope: "colgroup", "data-dt-order": "disable" }, SITE.words.network),
        ...columns.map((s) => el("th", { colspan: s.columns.length, scope: "colgroup", "data-dt-order": "disable" }, sectionTitle(s)))),
      el("tr", {}, el("th", { class: "no-sort text", scope: "col" }, el("span", { class: "sr" }, SITE.words.pick)),
        el("th", { class: "text", scope: "col", "data-key": "network" }, SITE.words.name), el("th", { scope: "col", "data-key": "seeds" }, SITE.words.seeds),
        ...columns.flatMap((s) => s.columns.map((q, place) =>
          el("th", { scope: "col", "data-key": q.key, class: place ? "" : "first-of", title: q.definition }, label(q))))));
    const body = el("tbody", {}, ...rows.map((row) => el("tr", { "data-id": row.id, class: picked.includes(row.id) ? "picked" : "" },
      el("td", {}, el("input", { type: "checkbox", checked: picked.includes(row.id), "aria-label": `${SITE.words.pick}: ${row.title}`, onchange: () => pick(row.id) })),
      el("th", { scope: "row", class: "text", "data-order": row.title }, Model.name(row)),
      el("td", { title: row.seeds.join(", ") }, String(row.seeds.length)),
      ...columns.flatMap((s) => s.columns.map((q, place) => Model.cell(row, q, filter, place === 0))))));
    const built = el("table", { "aria-label": group.title }, head, body);
    tables.append(say("group-head", {
      title: group.title, link: el("a", { href: `protocols.html#${group.id}` }, group.protocol),
      scored: `${group.split}, ${rows[0].checkpoint}`, badges: group.badges.map((b) => el("li", { class: `badge ${b.kind}` }, b.text)),
      size: Model.sizeNote(rows, filter),
    }), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": group.title }, built));
    return built;
  }

  function sortBy(built) {
    const [key, direction] = (Site.state().sort ?? "miou.desc").split(".");
    const heads = all("thead tr:last-child th", built), place = heads.findIndex((th) => th.dataset.key === key);
    const made = Site.sortable(built, { order: place < 0 ? [] : [[place, direction === "asc" ? "asc" : "desc"]] });
    made.on("order.dt", () => {
      const [order] = made.order();
      if (order?.length && order[1]) Site.keep({ ...Site.state(), sort: `${heads[order[0]].dataset.key}.${order[1]}` });
    });
  }

  function update(values) {
    filter = values;
    tables.replaceChildren();
    const rows = Model.rows(filter);
    for (const group of SITE.groups) {
      const own = rows.filter((row) => row.group === group.id);
      if (own.length) sortBy(table(group, own));
    }
    one("#empty").hidden = rows.length > 0;
    one("#count").textContent = String(rows.length);
    compare();
  }

  function pick(id) {
    picked = picked.includes(id) ? picked.filter((other) => other !== id) : [...picked, id].slice(-2);
    for (const tr of all("tr[data-id]", tables)) {
      tr.classList.toggle("picked", picked.includes(tr.dataset.id));
      one("input", tr).checked = picked.includes(tr.dataset.id);
    }
    Site.keep({ ...Site.state(), pick: picked.join(",") });
    compare();
  }

  // -- comparing two rows -----------------------------------------------------------------------------------
  async function compare() {
    const [first, second] = picked.map(Model.row);
    if (!second) return panel.replaceChildren(say(first ? "pick-one-more" : "pick-two"));
    const names = { first: Model.name(first), second: Model.name(second) };
    const differing = Model.differing(first, second);
    if (differing.length) {
      const items = differing.map(([name, a, b]) => el("li", {}, `${name}: ${a} | ${b}`));
      return panel.replaceChildren(say("refused", { ...names, reasons: items }));
    }
    const group = Model.groups.get(first.group);
    await Site.load(`data/pairs-${group.id}.js`);
    if (picked.length < 2 || picked[0] !== first.id || picked[1] !== second.id) return undefined; // ticked anew meanwhile
    const pairs = SITE.pairs[group.id][first.checkpoint] ?? {};
    const straight = pairs[`${first.network}|${second.network}`], reverse = pairs[`${second.network}|${first.network}`];
    const found = straight ?? reverse;
    if (!found || found.why) return panel.replaceChildren(say("refused", { ...names, reasons: el("li", {}, found?.why ?? SITE.words.not_scored) }));
    const turn = (d) => (straight ? d : [-d[0], -d[2], -d[1]]);
    const line = (head, a, b, difference) => {
      const [estimate, low, high] = turn(difference), apart = low > 0 || high < 0;
      return el("tr", {}, el("th", { scope: "row", class: "text" }, head), el("td", {}, number(a, 2)), el("td", {}, number(b, 2)),
        el("td", {}, apart ? el("strong", {}, signed(estimate, 2)) : signed(estimate, 2)), el("td", {}, `${signed(low, 2)} … ${signed(high, 2)}`),
        el("td", { class: "text verdict" }, apart ? SITE.words.differ : SITE.words.tie));
    };
    const scores = SITE.quantities.filter((q) => q.kind === "score" && found.scores[q.key])
      .map((q) => line(q.name, first.values[q.key][0], second.values[q.key][0], found.scores[q.key]));
    const classes = group.classes.map((name, k) => (found.classes[k] ? line(name, first.iou[k], second.iou[k], found.classes[k]) : null));
    panel.replaceChildren(say("compared", {
      ...names, by: found.by === "seeds" ? SITE.words.by_seeds : SITE.words.by_images, scores, classes, group: `${group.title}, ${group.split}, ${first.checkpoint}`,
    }));
    return undefined;
  }

  one("#export").addEventListener("click", () => {
    const columns = sections.filter(shown).flatMap((s) => s.columns);
    const lines = [["dataset", "protocol", "split", "checkpoint", "network", "seeds", "device", "precision", "batch", "cost_size",
      ...columns.flatMap((q) => (q.interval ? [q.key, `${q.key}_low`, `${q.key}_high`] : [q.key]))]];
    for (const tr of all("tbody tr[data-id]", tables)) {
      const row = Model.row(tr.dataset.id), group = Model.groups.get(row.group);
      lines.push([group.dataset, group.protocol, group.split, row.checkpoint, row.network, row.seeds.join(" "), filter.device, filter.precision, filter.batch, Model.cost(row, filter)?.size,
        ...columns.flatMap((q) => { const f = Model.figure(row, q.key, filter); return q.interval ? [f.value, f.low, f.high] : [f.value]; })]);
    }
    Site.download("leaderboard.csv", Site.csv(lines));
  });
  one("#clear").addEventListener("click", () => { for (const id of [...picked]) pick(id); });
  Site.bind(form, update);
})();
