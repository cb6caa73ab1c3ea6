"use strict";
// What the records say, as `data/site.js` gives it in SITE: groups, rows (a network's scores in a group at a checkpoint)
// and costs (a network on a device in a precision). Scores are percent.
const Model = (() => {
  const groups = new Map(SITE.groups.map((group) => [group.id, group]));
  const quantities = new Map(SITE.quantities.map((quantity) => [quantity.key, quantity]));
  const devices = new Map(SITE.devices.map((device) => [device.slug, device]));

  /** The cost record of a row's network at its group's input size, else at the paper's; undefined where there is none.
   * One of times alone counts as none where the other is at hand: it has no memory to show. */
  function cost(row, filter) {
    const group = groups.get(row.group);
    const found = SITE.costs.filter((one) => one.network === row.network && one.classes === group.classes.length
      && one.device === filter.device && one.precision === filter.precision);
    const at = (size) => found.find((one) => one.size === size), own = at(group.size);
    return own?.values.gmacs ? own : at(SITE.paper_size) ?? own;
  }

  /** The rows whose costs are of another input size than their group's. */
  const elsewhere = (rows, filter) => rows.filter((row) => ![undefined, groups.get(row.group).size].includes(cost(row, filter)?.size));

  /** That input size; empty where there are none. */
  const otherSize = (rows, filter) => [...new Set(elsewhere(rows, filter).map((row) => cost(row, filter).size))].join(", ");

  /** What is said of that size: nothing where there are none. */
  function sizeNote(rows, filter) {
    const size = otherSize(rows, filter), rebuilt = elsewhere(rows, filter).filter((row) => SITE.rebuilt.includes(row.network));
    return size ? [Site.say("size-note", { size }), rebuilt.length ? Site.say("rebuilt-note", { titles: rebuilt.map((row) => row.title).join(", ") }) : ""] : [];
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
    return Site.isNumber(value) ? { value, why: "" } : { value: null, why: found.why[key_at] ?? SITE.words[quantity.batched ? "not_measured_batch" : "not_measured"] };
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

  return { groups, quantities, devices, cost, otherSize, sizeNote, figure, rows, precision, differing, row, name, cell, deviceOptions };
})();
