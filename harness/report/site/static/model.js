"use strict";
// What the records say, as `data/site.js` gives it in SITE: groups, rows (a network's scores in a group at a checkpoint)
// and costs (a network on a device in a precision). Scores are percent.
const Model = (() => {
  const groups = new Map(SITE.groups.map((group) => [group.id, group]));
  const quantities = new Map(SITE.quantities.map((quantity) => [quantity.key, quantity]));
  const devices = new Map(SITE.devices.map((device) => [device.slug, device]));

  /** The cost record of a row's network at its group's input size, else at the paper's, and undefined where there is none. */
  function cost(row, filter) {
    const group = groups.get(row.group);
    const found = SITE.costs.filter((one) => one.network === row.network && one.classes === group.classes.length
      && one.device === filter.device && one.precision === filter.precision);
    return found.find((one) => one.size === group.size) ?? found.find((one) => one.size === SITE.paper_size);
  }

  /** The input size of costs that are of another than their group's; empty where none is. */
  function otherSize(rows, filter) {
    const found = rows.map((row) => [groups.get(row.group).size, cost(row, filter)?.size]).filter(([own, size]) => size && size !== own);
    return [...new Set(found.map(([, size]) => size))].join(", ");
  }

  /** {value, low, high, why} of a quantity of a row; `why` says why there is no value. */
  function figure(row, key, filter) {
    const quantity = quantities.get(key);
    if (quantity.kind === "score" || key in row.values) {
      const [value, low, high] = row.values[key] ?? [null, null, null];
      return { value, low, high, why: value === null ? SITE.words.not_scored : "" };
    }
    const found = cost(row, filter);
    if (!found) return { value: null, why: SITE.words.not_measured };
    const key_at = quantity.batched ? `${key}@${filter.batch}` : key;
    const value = found.values[key_at];
    return Site.isNumber(value) ? { value, why: "" } : { value: null, why: found.why[key_at] ?? SITE.words.not_measured_batch };
  }

  /** Rows that the filter leaves, in the order of the records. */
  function rows(filter) {
    return SITE.rows.filter((row) => {
      const group = groups.get(row.group);
      return (!filter.dataset || group.dataset === filter.dataset)
        && (!filter.protocol || group.id === filter.protocol)
        && (row.checkpoint === filter.checkpoint || (row.shown && !group.checkpoints.includes(filter.checkpoint)))
        && row.seeds.length >= Number(filter.seeds || 1);
    });
  }

  /** Why two rows can't be compared: the settings in which they differ, [name, first, second]. */
  function differing(first, second) {
    const [one, other] = [groups.get(first.group).identity, groups.get(second.group).identity];
    const found = Object.keys(one).filter((name) => one[name] !== other[name]).map((name) => [name, one[name], other[name]]);
    if (!found.length && first.checkpoint !== second.checkpoint) found.push([SITE.words.checkpoint, first.checkpoint, second.checkpoint]);
    return found;
  }

  /** The precision in words: on a GPU fp32 is without TF32. */
  const precision = (filter) => (filter.precision === "fp32" && devices.get(filter.device)?.kind === "cuda" ? SITE.words.fp32 : filter.precision);

  const row = (id) => SITE.rows.find((one) => one.id === id);

  /** The network's name with its color, linked to its page. */
  function name(row, link = true) {
    const text = [Site.el("span", { class: "swatch", style: `background:${SITE.colors[row.network]}` }), row.title];
    return link ? Site.el("a", { href: `network-${row.page}.html` }, ...text) : Site.el("span", {}, ...text);
  }

  /** A cell of a table: the figure with its interval, in bold where it leads, or why there is none. */
  function cell(row, quantity, filter, first = false) {
    const found = figure(row, quantity.key, filter), place = first ? "first-of" : "";
    if (!Site.isNumber(found.value)) return Site.el("td", { "data-order": -1e30, class: `${place} na`, title: found.why }, "n/a");
    const text = Site.number(found.value, quantity.digits);
    const td = Site.el("td", { "data-order": found.value, class: place }, row.best.includes(quantity.key) ? Site.el("strong", {}, text) : text);
    if (Site.isNumber(found.low)) td.append(" ", Site.el("span", { class: "pm" }, `[${Site.number(found.low, 1)}, ${Site.number(found.high, 1)}]`));
    return td;
  }

  /** Fill the selects of device, precision and batch; batches are those of the device. */
  function deviceOptions(form) {
    const [device, precision, batch] = ["device", "precision", "batch"].map((n) => Site.one(`[name=${n}]`, form));
    const given = Site.state();
    if (!device.options.length) Site.options(device, SITE.devices.map((d) => [d.slug, d.title]), given.device ?? SITE.defaults.device);
    const fill = () => {
      const chosen = devices.get(device.value);
      if (!chosen) return;
      for (const [select, values] of [[precision, chosen.precisions], [batch, chosen.batches]]) {
        const before = select.value || given[select.name];
        Site.options(select, values.map((v) => [String(v), String(v)]), values.map(String).includes(before) ? before : String(values[0]));
      }
    };
    device.addEventListener("input", fill);
    fill();
  }

  return { groups, quantities, devices, cost, otherSize, figure, rows, precision, differing, row, name, cell, deviceOptions };
})();
