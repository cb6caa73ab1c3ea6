"use strict";
// A network's page: which group is shown, and its learning curves.
(() => {
  const { one, all } = Site;
  const curves = (box) => {
    const runs = SITE.curves[box.dataset.curves];
    Site.plot(box, (color) => {
      const dashes = ["solid", "dash", "dot", "dashdot"], shades = { loss: color("soft"), train: color("mixed"), val: color("link") };
      const data = runs.flatMap((run, place) => [
        { name: `loss, seed ${run.seed}`, x: run.loss[0], y: run.loss[1], yaxis: "y2", mode: "lines", line: { color: shades.loss, width: 1, dash: dashes[place % 4] } },
        ...["train", "val"].filter((s) => run[s] && run[s][0].length).map((s) => ({
          name: `mIoU ${s}, seed ${run.seed}`, x: run[s][0], y: run[s][1], mode: run[s][0].length > 1 ? "lines+markers" : "markers", line: { color: shades[s], dash: dashes[place % 4] }, marker: { size: 7 },
        })),
      ]);
      return {
        data,
        layout: {
          legend: { orientation: "h", y: 1, yanchor: "bottom" }, margin: { l: 60, r: 60, t: 50, b: 50 },
          xaxis: { title: { text: "iteration" } }, yaxis: { title: { text: "mIoU, %" }, rangemode: "tozero" },
          yaxis2: { title: { text: "loss" }, overlaying: "y", side: "right", rangemode: "tozero", showgrid: false, tickmode: "auto", nticks: 6 },
        },
      };
    });
  };
  const form = one("#group-choice");
  const update = ({ group }) => {
    for (const section of all("[data-group]")) {
      section.hidden = section.dataset.group !== group;
      if (!section.hidden) all("[data-curves]", section).forEach(curves);
    }
  };
  if (form) Site.bind(form, update);
})();
