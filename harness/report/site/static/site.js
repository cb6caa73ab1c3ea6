"use strict";
// What all pages share: theme, copy buttons, state in the URL, small builders of elements, plots and tables.
const Site = (() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  /** An element: el("td", {class: "na", onclick: f}, "text", child). */
  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** A copy of a <template id>, with its slots filled: {name: text or node}. All wording is in the pages. */
  function say(id, slots = {}) {
    const copy = one(`template#${id}`).content.cloneNode(true);
    for (const [name, value] of Object.entries(slots)) {
      for (const slot of all(`[data-slot="${name}"]`, copy)) slot.replaceChildren(...[value].flat());
    }
    return copy;
  }

  // -- numbers ----------------------------------------------------------------------------------------------
  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  function number(value, digits = 3) {
    if (!isNumber(value)) return "n/a";
    if (value !== 0 && digits === "significant") {
      const three = value.toPrecision(3); // with an exponent where it would be long
      const shown = Math.abs(value) >= 1000 ? value.toFixed(0) : three.includes("e") ? String(Number(three)) : three;
      return shown.replace(/\B(?=(\d{3})+(?!\d))/g, shown.includes(".") ? "" : ",");
    }
    return value.toFixed(digits === "significant" ? 0 : digits);
  }
  const signed = (value, digits) => (isNumber(value) ? (value < 0 ? "−" : "+") + number(Math.abs(value), digits) : "n/a");

  // -- state in the URL -------------------------------------------------------------------------------------
  /** The state after '#'. Pages opened from disk may change this part alone. */
  function state() { return Object.fromEntries(new URLSearchParams(location.hash.slice(1))); }

  function keep(values) {
    const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined); // an empty one may be a choice: all
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  }

  /** Bind the controls with a name in a form to the URL; `update` gets their values, at once and on change. */
  function bind(form, update) {
    const controls = all("[name]", form);
    const read = () => Object.fromEntries(controls.map((c) => [c.name, c.type === "checkbox" ? (c.checked ? "1" : "0") : c.value]));
    const fill = () => {
      const given = state();
      for (const c of controls) {
        if (!(c.name in given)) continue;
        if (c.type === "checkbox") c.checked = given[c.name] === "1";
        else if (c.tagName !== "SELECT" || [...c.options].some((o) => o.value === given[c.name])) c.value = given[c.name];
      }
    };
    const changed = () => { const values = read(); keep({ ...state(), ...values }); update(values); };
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
    // our own changes leave the history alone: this is another state, of a link that was pasted or followed
    addEventListener("hashchange", () => { if (location.hash.includes("=")) location.reload(); });
    fill();
    update(read());
    return { read, refresh: changed };
  }

  function options(select, entries, chosen) {
    select.replaceChildren(...entries.map(([value, label]) => el("option", { value, selected: value === chosen }, label)));
  }

  // -- files ------------------------------------------------------------------------------------------------
  const loading = new Map();
  /** Load a script once. fetch() can't read files of a page opened from disk; a script can. */
  function load(source) {
    if (!loading.has(source)) {
      loading.set(source, new Promise((done, failed) => {
        document.head.append(el("script", { src: source, onload: done, onerror: () => failed(new Error(source)) }));
      }));
    }
    return loading.get(source);
  }

  function download(name, text) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /** Rows of values -> CSV. */
  function csv(rows) {
    const quoted = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return rows.map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  }

  // -- plots ------------------------------------------------------------------------------------------------
  const drawn = new Map();
  const ready = new Promise((done) => { document.addEventListener("DOMContentLoaded", () => setTimeout(done, 30)); });
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** Draw with plotly, loaded when the first plot is wanted; `make` gives {data, layout} in the theme's colors. */
  async function plot(box, make) {
    drawn.set(box, make);
    await ready; // tables and controls first
    await load("assets/plotly.min.js");
    if (drawn.get(box) !== make) return; // a later call has taken over
    const { data, layout } = make(color);
    const axis = { gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), automargin: true };
    const full = {
      paper_bgcolor: color("bg"), plot_bgcolor: color("bg"), font: { color: color("text"), family: "system-ui, sans-serif", size: 13 },
      margin: { l: 60, r: 20, t: 16, b: 50 }, hoverlabel: { align: "left", bgcolor: color("panel"), bordercolor: color("line"), font: { color: color("text") } },
      ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    };
    await Plotly.react(box, data, full, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
    box.dataset.drawn = "1";
  }
  const redraw = () => { for (const [box, make] of drawn) plot(box, make); };

  // -- tables -----------------------------------------------------------------------------------------------
  /** Make a table sortable. Cells may give their value for sorting in data-order. */
  function sortable(table, more = {}) {
    const numbers = all("thead tr:last-child th", table).flatMap((th, place) => (th.classList.contains("text") ? [] : [place]));
    return Tables.jQuery(table).DataTable({
      paging: false, info: false, searching: false, autoWidth: false, order: [],
      layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
      columnDefs: [{ targets: numbers, orderSequence: ["desc", "asc"] }, { targets: "no-sort", orderable: false }],
      ...more,
    });
  }

  // -- page -------------------------------------------------------------------------------------------------
  function copyText(text) {
    if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
    const area = el("textarea", { class: "sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    return Promise.resolve();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const toggle = one("#theme");
    const dark = () => document.documentElement.dataset.theme === "dark";
    const show = () => toggle.setAttribute("aria-pressed", String(dark()));
    toggle.addEventListener("click", () => {
      document.documentElement.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* storage may be refused */ }
      show();
      redraw();
    });
    show();
    for (const button of all("button[data-copy]")) {
      button.addEventListener("click", async () => {
        await copyText(button.dataset.copy);
        one("[data-said]", button).textContent = button.dataset.done;
      });
    }
    for (const table of all("table.sortable")) sortable(table);
    one("header.top nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    document.body.dataset.ready = "1";
  });

  return { one, all, el, say, number, signed, isNumber, state, keep, bind, options, load, download, csv, plot, sortable };
})();
