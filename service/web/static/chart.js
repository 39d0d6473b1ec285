// The chart of an alert: actual, expected, the band between the bounds, and the abnormal buckets. Colours come from app.css.
"use strict";

(() => {
  let chart = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

  function draw() {
    const box = document.getElementById("chart");
    if (chart) { chart.destroy(); chart = null; }
    if (!box) return;
    const points = JSON.parse(box.dataset.points);
    const font = "12px system-ui, sans-serif";
    const axis = {
      stroke: colour("--soft"), font, ticks: { show: false },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const last = points.at.length - 1;
    // One line of text under the chart instead of a legend: it wraps on a phone and a person can copy it.
    const read = (index) => { document.getElementById("reading").textContent = points.readings[index ?? last]; };
    const options = {
      width: box.clientWidth,
      height: box.clientHeight,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { x: { time: true }, y: { range: (_, low, high) => range(low, high) } },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      legend: { show: false },
      hooks: { setCursor: [(plot) => read(plot.cursor.idx)] },
      axes: [
        { ...axis, grid: { show: false }, size: 28, values: ticks },
        { ...axis, size: 56, values: (_, splits) => splits.map((split) => compact.format(split)) },
      ],
      series: [
        {},
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: colour("--expected"), width: 1.5, dash: [5, 4], points: { show: false } },
        { stroke: colour("--actual"), width: 2, points: { show: false } },
        { stroke: colour("--critical"), width: 0, points: { show: true, size: 9, width: 0, fill: colour("--critical") } },
      ],
      bands: [{ series: [2, 1], fill: colour("--band") }],
    };
    const columns = [points.at, points.lower, points.upper, points.expected, points.actual, points.abnormal];
    chart = new uPlot(options, columns, box);
    read(last);
  }

  // The date at midnight and at the left edge, the time elsewhere.
  function ticks(_, splits, __, ___, step) {
    return splits.map((split, index) => {
      const text = new Date(split * 1000).toISOString();
      return step >= 86400 || index === 0 || split % 86400 === 0 ? text.slice(5, 10) : text.slice(11, 16);
    });
  }

  function range(low, high) {
    const from = Math.min(0, low);   // money is read against zero
    const room = (high - from || 1) * 0.06;
    return [from < 0 ? from - room : 0, high + room];
  }

  let frame = 0;
  function redrawSoon() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }

  new ResizeObserver((entries) => {
    const box = document.getElementById("chart");
    if (chart && box && entries.length && Math.abs(box.clientWidth - chart.width) > 1) redrawSoon();
  }).observe(document.getElementById("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon);
  document.body.addEventListener("htmx:afterSettle", redrawSoon);
  draw();
})();
