"use strict";
// Filters the claims, and draws the forest plot of a claim when it is opened.
(() => {
  const { one, all } = Site;
  const form = one("#claim-filter");

  function forest(box) {
    const claim = SITE.claims[box.dataset.forest];
    const wanted = claim.comparisons;
    box.style.height = `${110 + 24 * wanted.length}px`;
    Site.plot(box, (color) => {
      const places = wanted.map((_, place) => place);
      const shades = { holds: color("good"), against: color("bad"), noise: color("soft"), paper: color("text") };
      const trace = (name, chosen, marker) => ({
        type: "scatter", mode: "markers", name, y: chosen.map((i) => places[i]), x: chosen.map((i) => wanted[i].estimate), marker,
        error_x: { type: "data", symmetric: false, array: chosen.map((i) => wanted[i].high - wanted[i].estimate), arrayminus: chosen.map((i) => wanted[i].estimate - wanted[i].low), color: color("soft"), thickness: 1.5, width: 4 },
        customdata: chosen.map((i) => [wanted[i].label, wanted[i].interval]),
        hovertemplate: "%{customdata[0]}<br>%{x:.2f} %{customdata[1]}<extra></extra>",
      });
      const data = Object.entries(SITE.words.outcomes).map(([outcome, name]) => [name, outcome, places.filter((i) => wanted[i].outcome === outcome && Site.isNumber(wanted[i].estimate))])
        .filter(([, , chosen]) => chosen.length).map(([name, outcome, chosen]) => trace(name, chosen, { size: 10, color: shades[outcome] }));
      const paper = places.filter((i) => Site.isNumber(wanted[i].paper));
      if (paper.length) {
        data.push({
          type: "scatter", mode: "markers", name: SITE.words.paper, y: paper, x: paper.map((i) => wanted[i].paper),
          marker: { size: 11, symbol: "circle-open", color: shades.paper, line: { width: 2 } }, hovertemplate: `${SITE.words.paper}: %{x:.2f}<extra></extra>`,
        });
      }
      const narrow = box.clientWidth < 560;
      return {
        data,
        layout: {
          height: 110 + 24 * wanted.length, margin: { l: 10, r: 16, t: 34, b: 60 }, legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0 },
          xaxis: { title: { text: `${SITE.words.difference}, ${claim.unit}` }, zeroline: true, zerolinewidth: 2 },
          yaxis: { tickmode: "array", tickvals: places, ticktext: wanted.map((c) => (narrow ? c.short : c.label)), range: [wanted.length - 0.5, -0.5], tickfont: { size: narrow ? 10 : 12 } },
        },
      };
    });
  }

  for (const details of all("details[data-claim]")) {
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      for (const box of all("[data-forest]", details)) if (!box.dataset.drawn) forest(box);
    });
  }
  if (location.hash.startsWith("#claim-")) one(location.hash)?.setAttribute("open", "");
  if (form) {
    Site.bind(form, (values) => {
      let shown = 0;
      for (const details of all("details[data-claim]")) {
        details.hidden = Boolean(values.verdict) && details.dataset.verdict !== values.verdict;
        shown += details.hidden ? 0 : 1;
      }
      one("#claim-count").textContent = String(shown);
    });
  }
})();
