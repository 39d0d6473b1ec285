// The chart of an alert: actual, expected, the band between the bounds, and the abnormal buckets. Colours come from app.css.
"use strict";

(() => {
  let chart = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
  const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

  function time(seconds, grain) {
    const text = new Date(seconds * 1000).toISOString();
    return grain === "1d" ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
  }

  function draw() {
    const box = document.getElementById("chart");
    const source = document.getElementById("points");
    if (chart) { chart.destroy(); chart = null; }
    if (!box || !source) return;
    const points = JSON.parse(source.textContent);
    const font = "12px system-ui, sans-serif";
    const axis = {
      stroke: colour("--soft"), font, ticks: { show: false },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const value = (_, shown) => (shown == null ? "" : `${number.format(shown)} ${points.unit}`);
    const options = {
      width: box.clientWidth,
      height: box.clientHeight - 30,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { x: { time: true }, y: { range: (_, low, high) => range(low, high) } },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      legend: { live: true },
      axes: [
        { ...axis, grid: { show: false } },
        { ...axis, size: 56, values: (_, splits) => splits.map((split) => compact.format(split)) },
      ],
      series: [
        { label: "start", value: (_, at) => (at == null ? "" : time(at, points.grain)) },
        { label: "lower", stroke: "transparent", width: 0, points: { show: false }, value },
        { label: "upper", stroke: "transparent", width: 0, points: { show: false }, value },
        { label: "expected", stroke: colour("--expected"), width: 1.5, dash: [5, 4], points: { show: false }, value },
        { label: "actual", stroke: colour("--actual"), width: 2, points: { show: false }, value },
        { label: "abnormal", stroke: colour("--critical"), width: 0, value,
          points: { show: true, size: 9, width: 0, fill: colour("--critical") } },
      ],
      bands: [{ series: [2, 1], fill: colour("--band") }],
    };
    const columns = [points.at, points.lower, points.upper, points.expected, points.actual, points.abnormal];
    chart = new uPlot(options, columns, box);
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
