"use strict";
// Test images by networks: scores of each image, and its picture, truth, predictions and errors where these are at hand.
(() => {
  const { one, el, number, signed } = Site;
  const STEP = 20, VOID = 255, NOT_SCORED = 65535;
  const form = one("#show");
  if (!form) return;
  const table = one("#images"), more = one("#more");
  let filter = {}, count = STEP, data = null, visible = [];

  Site.options(one("[name=group]"), SITE.image_groups.map((id) => [id, Model.groups.get(id).title]), Site.state().group);

  /** Scores of a group: score(image, network's name, class) in percent; class -1 is the mean over classes. */
  function unpack(packed) {
    const numbers = (text) => new Uint16Array(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
    const means = numbers(packed.miou), classes = numbers(packed.iou), networks = packed.networks.length, kinds = packed.classes;
    return {
      ...packed,
      score(image, network, kind) {
        const place = image * networks + packed.networks.indexOf(network);
        const found = kind < 0 ? means[place] : classes[place * kinds + kind];
        return found === NOT_SCORED ? null : found / 100;
      },
    };
  }

  function fillNetworks() {
    const names = data.networks.map((n) => [n, SITE.networks[n].title]);
    const given = Site.state(), kept = (select, fallback) => (names.some(([v]) => v === (select.value || given[select.name])) ? select.value || given[select.name] : fallback);
    const [a, b, kind] = ["a", "b", "class"].map((n) => one(`[name=${n}]`, form));
    const chosen = kept(a, data.networks[0]), against = kept(b, ""), group = Model.groups.get(data.group);
    const wanted = kind.value || given.class;
    Site.options(a, names, chosen);
    Site.options(b, [["", SITE.words.nothing], ...names], against);
    Site.options(kind, [["-1", SITE.words.all_classes], ...group.classes.map((c, k) => [String(k), c])], Number(wanted) < group.classes.length ? wanted : "-1");
    one("#legend").replaceChildren(...group.classes.map((c, k) => el("li", {}, el("span", { class: "swatch square", style: `background:rgb(${group.colors[k]})` }), c)));
    for (const box of Site.all("[data-needs]", form)) {
      const there = data.pictures && (box.dataset.needs === "any" || data.pictures[box.dataset.needs]);
      box.closest("label").hidden = !there;
    }
    one("#no-pictures").hidden = Boolean(data.pictures?.image);
  }

  /** Images in the wanted order; those without a score are left out. */
  function order() {
    const { a, b } = filter, kind = Number(filter.class);
    const value = (i) => {
      const first = data.score(i, a, kind), second = b === "" ? 0 : data.score(i, b, kind);
      return first === null || second === null ? null : first - second;
    };
    const found = data.ids.map((id, i) => ({ id, i, value: value(i) })).filter((x) => x.value !== null);
    const kept = filter.only === "1" ? found.filter((x) => data.pictures?.predicted.includes(x.i)) : found;
    const sign = filter.order === "high" ? -1 : 1;
    return kept.sort((x, y) => sign * (x.value - y.value) || x.i - y.i);
  }

  // -- label maps -------------------------------------------------------------------------------------------
  /** A PNG of class numbers, as a data URL, to (H, W) class numbers. Such URLs may be read by a page from disk. */
  async function classes(url) {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    const canvas = el("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const values = new Uint8Array(pixels.length / 4);
    for (let i = 0; i < values.length; i++) values[i] = pixels[4 * i];
    return { width: canvas.width, height: canvas.height, values };
  }

  function paint(map, colorOf, label) {
    const canvas = el("canvas", { width: map.width, height: map.height, role: "img", "aria-label": label });
    const context = canvas.getContext("2d"), image = context.createImageData(map.width, map.height);
    for (let i = 0; i < map.values.length; i++) {
      const [red, green, blue] = colorOf(i);
      image.data.set([red, green, blue, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function labels(map, label) {
    const kind = Number(filter.class), colors = Model.groups.get(data.group).colors;
    const table = Array.from({ length: 256 }, (_, c) => {
      const plain = colors[c] ?? [0, 0, 0];
      return kind < 0 || c === kind ? plain : plain.map((v) => Math.round(225 + 0.1 * (v - 225)));
    });
    return paint(map, (i) => table[map.values[i]], label);
  }

  function errors(map, truth, label) {
    const kind = Number(filter.class), wrong = [214, 40, 57], right = [222, 226, 232], unseen = [0, 0, 0];
    return paint(map, (i) => {
      const [found, wanted] = [map.values[i], truth.values[i]];
      if (wanted === VOID) return unseen;
      return found !== wanted && (kind < 0 || found === kind || wanted === kind) ? wrong : right;
    }, label);
  }

  const hasPictures = (i) => Boolean(data.pictures?.numbers.includes(i));

  async function fill(tr, id, i) {
    if (!hasPictures(i)) return;
    const on = (name) => filter[name] === "1";
    if (data.pictures.image && on("image")) one("[data-tile=image]", tr)?.append(el("img", { src: `pictures/${data.pictures.folder}/${i}.jpg`, alt: `${SITE.words.image} ${id}`, loading: "lazy" }));
    if (!on("truth") && !on("prediction") && !on("error")) return;
    await Site.load(`pictures/${data.group}/${i}.js`);
    const maps = SITE.maps[`${data.group}/${i}`], truth = maps.truth && (on("truth") || on("error")) ? await classes(maps.truth) : null;
    if (truth && on("truth")) one("[data-tile=truth]", tr)?.append(labels(truth, `${SITE.words.truth} ${id}`));
    for (const name of data.networks) {
      const tile = one(`[data-tile="${CSS.escape(name)}"]`, tr);
      if (!maps.networks[name] || !tile) continue;
      const found = await classes(maps.networks[name]), title = SITE.networks[name].title;
      if (on("prediction")) tile.append(labels(found, `${SITE.words.prediction} ${title}, ${id}`));
      if (on("error") && truth) tile.append(errors(found, truth, `${SITE.words.error} ${title}, ${id}`));
    }
  }

  // -- the grid ---------------------------------------------------------------------------------------------
  let drawing = 0;
  async function draw() {
    const turn = ++drawing, kind = Number(filter.class), pictures = data.pictures;
    const tiles = ["image", "truth"].filter((name) => pictures?.[name] && filter[name] === "1");
    const { a, b } = filter, title = (name) => SITE.networks[name].title;
    const what = kind < 0 ? "mIoU" : `IoU, ${Model.groups.get(data.group).classes[kind]}`;
    const difference = b === "" ? null : `${title(a)} − ${title(b)}`;
    const wide = pictures && (filter.prediction === "1" || filter.error === "1");
    const head = el("thead", {}, el("tr", {}, el("th", { class: "text" }, SITE.words.image_id), difference && el("th", {}, difference),
      ...tiles.map((name) => el("th", { class: "text" }, SITE.words[name])),
      ...data.networks.map((n) => el("th", { class: "text", scope: "col" }, title(n)))));
    const body = el("tbody");
    visible = order();
    for (const { id, i, value } of visible.slice(0, count)) {
      const tr = el("tr", { "data-id": id }, el("th", { scope: "row" }, id), difference && el("td", {}, signed(value, 2)),
        ...tiles.map((name) => el("td", { class: "text tile", "data-tile": name })),
        ...data.networks.map((n) => el("td", { class: wide ? "text tile" : "text", "data-tile": n },
          el("span", n === a || n === b ? { style: "font-weight:700" } : {}, number(data.score(i, n, kind), 2)))));
      body.append(tr);
    }
    table.replaceChildren(head, body);
    one("#what").textContent = `${what}, %`;
    one("#count").textContent = `${Math.min(count, visible.length)} / ${visible.length}`;
    more.hidden = count >= visible.length;
    for (const { id, i } of visible.slice(0, count)) {
      if (turn !== drawing) return;
      await fill(one(`tr[data-id="${CSS.escape(id)}"]`, body), id, i);
    }
    if (turn === drawing) table.dataset.drawn = String(turn);
  }

  async function update(values) {
    filter = values;
    if (data?.group !== filter.group) {
      await Site.load(`data/images-${filter.group}.js`);
      if (values !== filter) return;
      data = { ...unpack(SITE.images[filter.group]), group: filter.group };
      fillNetworks();
      filter = bound?.read() ?? filter;
      for (const name of ["a", "b", "class"]) filter[name] = one(`[name=${name}]`, form).value;
    }
    count = STEP;
    draw();
  }
  more.addEventListener("click", () => { count += STEP; draw(); });
  let bound = null;
  if (SITE.image_groups.length) bound = Site.bind(form, update);
})();
