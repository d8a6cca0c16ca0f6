"use strict";
const { report, specimens } = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const digits = (value, count) => value == null ? "" : value.toFixed(count);
const bytes = (count) => {
  let unit = 0;
  while (count >= 999.5 && unit < 4) { count /= 1000; unit += 1; }
  return `${unit ? count.toPrecision(3) : count} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
};

const { machine } = report;
document.getElementById("machine").textContent =
  `${report.created.slice(0, 16).replace("T", " ")} · ${machine.cpu}, ${machine.cores} cores, ` +
  `${bytes(machine.memory_bytes)} · Linux ${machine.kernel} · mediamill ${machine.mediamill}, libavcodec ` +
  `${machine.libav.libavcodec} · ${machine.jobs} jobs at a time, ${machine.threads} threads each, ` +
  `${machine.repeats} repeats · ${report.corpus.files} files, ${bytes(report.corpus.bytes)}`;

/* Plots */
const W = 360, H = 240, LEFT = 40, BOTTOM = 34, TOP = 12, RIGHT = 12;

/** A scale with a little room at both ends, and some round values on it. */
function scale(values, from, to) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (high - low < 1e-9) { low -= 1; high += 1; }
  const room = (high - low) * 0.08;
  [low, high] = [low - room, high + room];
  const place = (value) => from + (value - low) / (high - low) * (to - from);
  const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(Number(tick.toPrecision(6)));
  return { place, ticks };
}

function axes(svg, x, y, xName, yName) {
  for (const tick of x.ticks) {
    svg.append(element("svg:line", { class: "axis", x1: x.place(tick), x2: x.place(tick), y1: TOP, y2: H - BOTTOM }));
    svg.append(element("svg:text", { x: x.place(tick), y: H - BOTTOM + 14, "text-anchor": "middle" }, `${tick}`));
  }
  for (const tick of y.ticks) {
    svg.append(element("svg:line", { class: "axis", x1: LEFT, x2: W - RIGHT, y1: y.place(tick), y2: y.place(tick) }));
    svg.append(element("svg:text", { x: LEFT - 6, y: y.place(tick) + 4, "text-anchor": "end" }, `${tick}`));
  }
  svg.append(element("svg:text", { x: (LEFT + W - RIGHT) / 2, y: H - 4, "text-anchor": "middle" }, xName));
  svg.append(element("svg:text", { x: 0, y: TOP - 6 }, yName));
}

/** A scatter plot with its Pareto front; more is better on both axes. */
function paretoPlot(title, points, xName) {
  const svg = element("svg:svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  const x = scale(points.map((p) => p.x), LEFT, W - RIGHT), y = scale(points.map((p) => p.y), H - BOTTOM, TOP);
  axes(svg, x, y, xName, "quality");
  const dominated = (p) => points.some((q) => q.x >= p.x && q.y >= p.y && (q.x > p.x || q.y > p.y));
  const best = points.filter((p) => !dominated(p)).sort((a, b) => a.x - b.x || a.y - b.y);
  svg.append(element("svg:polyline", { class: "front", points: best.map((p) => `${x.place(p.x)},${y.place(p.y)}`).join(" ") }));
  for (const p of points) {
    const dot = element("svg:circle", { class: best.includes(p) ? "best" : "dominated", cx: x.place(p.x), cy: y.place(p.y), r: 4 });
    dot.append(element("svg:title", {}, `${p.name}: ${digits(p.x, 1)}, quality ${digits(p.y, 1)}`));
    svg.append(dot);
    // Points in one place have one label.
    const same = best.filter((q) => q.x === p.x && q.y === p.y);
    if (same[0] === p) {
      const right = x.place(p.x) > W * 0.6;
      const place = { x: x.place(p.x) + (right ? -7 : 7), y: y.place(p.y) - 6 };
      const attributes = { class: "name", ...place, "text-anchor": right ? "end" : "start" };
      svg.append(element("svg:text", attributes, same.map((q) => q.short).join(", ")));
    }
  }
  return element("figure", {}, element("h3", {}, title), svg);
}

/** A strip plot: the score of each file, a row for each profile with its settings. */
function strips(title, rows, xName) {
  const height = TOP + BOTTOM + rows.length * 24;
  const svg = element("svg:svg", { viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": title });
  const x = scale(rows.flatMap((row) => row.values.map((v) => v.score)), 120, W - RIGHT);
  for (const tick of x.ticks) {
    svg.append(element("svg:line", { class: "axis", x1: x.place(tick), x2: x.place(tick), y1: TOP, y2: height - BOTTOM }));
    svg.append(element("svg:text", { x: x.place(tick), y: height - BOTTOM + 14, "text-anchor": "middle" }, `${tick}`));
  }
  svg.append(element("svg:text", { x: (120 + W - RIGHT) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  rows.forEach((row, n) => {
    const y = TOP + n * 24 + 12;
    svg.append(element("svg:text", { class: "name", x: 0, y: y + 4 }, row.short));
    for (const { score, file } of row.values) {
      const dot = element("svg:circle", { class: "file", cx: x.place(score), cy: y, r: 3.5 });
      dot.append(element("svg:title", {}, `${file}: ${digits(score, 2)}`));
      svg.append(dot);
    }
    const mean = row.values.reduce((sum, v) => sum + v.score, 0) / row.values.length;
    svg.append(element("svg:line", { class: "mean", x1: x.place(mean), x2: x.place(mean), y1: y - 8, y2: y + 8 }));
  });
  return element("figure", {}, element("h3", {}, title), svg);
}

/* Tables */
const figures = (metric) => {
  const columns = [
    ["profile and settings", (s) => s.point, (v) => v],
    ["files", (s) => s.files, (v) => v],
    ["encoded", (s) => s.encoded, (v) => v],
    ["size after", (s) => s.bytes_after, bytes],
    ["saved %", (s) => s.saved_percent, (v) => digits(v, 1)],
    ["quality", (s) => s.quality, (v) => digits(v, 1)],
    [metric.name, (s) => s.scores[metric.key]?.mean, (v) => digits(v, metric.digits)],
    [`lowest ${metric.name}`, (s) => s.scores[metric.key]?.worst, (v) => digits(v, metric.digits)],
    ["CPU s, all files", (s) => s.cpu_s, (v) => digits(v, 2)],
    ["× real time", (s) => s.speed, (v) => digits(v, 0)],
    ["jobs/s", (s) => s.jobs_per_s, (v) => digits(v, 1)],
    ["time a file, p50 s", (s) => s.wall_p50_s, (v) => digits(v, 3)],
    ["p95 s", (s) => s.wall_p95_s, (v) => digits(v, 3)],
    ["p99 s", (s) => s.wall_p99_s, (v) => digits(v, 3)],
    ["peak memory", (s) => s.peak_memory_bytes, bytes],
  ];
  if (metric.key === "mos") columns.splice(8, 0, ["loudness ± LU", (s) => s.scores.loudness_error_lu?.mean, (v) => digits(v, 2)]);
  else columns.splice(8, 0, ["SSIM", (s) => s.scores.ssim?.mean, (v) => digits(v, 4)], ["PSNR dB", (s) => s.scores.psnr_db?.mean, (v) => digits(v, 1)]);
  return columns;
};

const total = (summary, key) => Object.values(summary.stored).reduce((sum, share) => sum + share[key], 0);
const wholeBytes = (value) => bytes(Math.round(value));
const money = (value) => digits(value, 4);
const COSTS = [
  ["profile and settings", (s) => s.point, (v) => v],
  ["sum", (s) => s.cost.total, money],
  ["storage", (s) => s.cost.storage, money],
  ["requests", (s) => s.cost.requests, money],
  ["early deletion", (s) => s.cost.early_deletion, money],
  ["reading", (s) => s.cost.reading, money],
  ["CPU", (s) => s.cost.cpu, money],
  ["days", (s) => s.cost.days, (v) => v],
  ["objects a file", (s) => total(s, "objects"), (v) => digits(v, 1)],
  ["PUTs a file", (s) => total(s, "puts"), (v) => digits(v, 1)],
  ["stored a file", (s) => total(s, "bytes"), wholeBytes],
  ["billed a file", (s) => s.cost.billed_bytes_per_media, wholeBytes],
];

function table(summaries, columns) {
  const body = element("tbody");
  const fill = (rows) => body.replaceChildren(...rows.map((s) =>
    element("tr", s.pareto ? {} : { class: "dominated" }, ...columns.map(([, of, show]) => {
      const value = of(s);
      return element("td", {}, value == null ? "" : `${show(value)}`);
    }))));
  fill(summaries);
  const heads = columns.map(([name, of]) => {
    const button = element("button", {}, name);
    const head = element("th", { scope: "col" }, button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => typeof of(a) === "string" ? of(a).localeCompare(of(b)) : (of(a) ?? -1) - (of(b) ?? -1);
      fill([...summaries].sort((a, b) => (down ? -1 : 1) * order(a, b)));
    });
    return head;
  });
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));
}

/** What 1,000 files cost with each profile and its settings, and the class of what is stored. */
function costs(kind, summaries) {
  const { currency, plays_per_media: plays } = report.prices;
  const classes = new Map();
  for (const summary of summaries) {
    for (const [name, share] of Object.entries(summary.stored)) classes.set(name, Math.max(classes.get(name) ?? 0, share.objects));
  }
  const shares = [...classes].map(([name, most]) => `${name} (up to ${digits(most, 1)} objects a file)`).join(", ");
  return element("section", { class: "costs", "aria-label": `cost of ${kind}` },
    element("h3", {}, `Cost of 1,000 files in ${currency}`),
    element("p", {}, `From upload to deletion, each played ${plays} times. Storage classes: ${shares}.`),
    table(summaries, COSTS));
}

/* Files to listen to and look at */
function specimen({ run, original, playback, picture }) {
  const tag = run.class === "video" ? "video" : "audio";
  const player = (name, source, size) =>
    element("div", {}, element("p", {}, `${name}, ${bytes(size)}`), element(tag, { controls: "", preload: "metadata", src: source }));
  const score = run.class === "video" ? `SSIMULACRA 2 ${digits(run.scores.ssimulacra2, 1)}, SSIM ${digits(run.scores.ssim, 4)}`
    : `MOS ${digits(run.scores.mos, 2)}`;
  const pair = element("div", { class: "pair" }, player("original", original, run.bytes_before), player("output", playback, run.bytes_after));
  if (picture) pair.append(element("div", {}, element("p", {}, run.class === "video" ? "thumbnail" : "waveform"), element("img", { src: picture, alt: "" })));
  return element("article", { class: "specimen" }, element("h3", {}, run.file), element("p", {}, `${run.point}: ${score}`), pair);
}

const METRICS = {
  voice: { key: "mos", name: "MOS", digits: 2 },
  music: { key: "mos", name: "MOS", digits: 2 },
  video: { key: "ssimulacra2", name: "SSIMULACRA 2", digits: 1 },
};
for (const [kind, metric] of Object.entries(METRICS)) {
  const summaries = report.summaries.filter((s) => s.class === kind);
  if (!summaries.length) continue;
  const settings = (point) => point.split(" ").slice(1).map((word) => word.replace(/^[a-z]+\./, "")).join(" ") || point;
  const points = (x) => summaries.filter((s) => s.quality != null)
    .map((s) => ({ name: s.point, short: settings(s.point), x: x(s), y: s.quality }));
  const rows = summaries.map((s) => ({
    short: settings(s.point),
    values: report.runs.filter((run) => run.class === kind && run.point === s.point && run.scores?.[metric.key] != null)
      .map((run) => ({ score: run.scores[metric.key], file: run.file })),
  })).filter((row) => row.values.length);
  const plots = element("div", { class: "plots" });
  if (points((s) => s.speed).length) {
    plots.append(paretoPlot("Quality against bytes saved", points((s) => s.saved_percent), "bytes saved, %"));
    plots.append(paretoPlot("Quality against speed", points((s) => s.speed), "seconds of media for a second of CPU"));
  }
  if (rows.length) plots.append(strips("Score of each encoded file", rows, metric.name));
  main.append(element("section", { "aria-label": kind }, element("h2", {}, kind), plots, table(summaries, figures(metric))));
  const priced = summaries.filter((s) => s.cost);
  if (priced.length) main.append(costs(kind, priced));
  const worst = specimens.filter((one) => one.run.class === kind);
  if (worst.length) {
    main.append(element("h2", {}, `Lowest scores of ${kind}`), element("div", { class: "specimens" }, ...worst.map(specimen)));
  }
}
const excluded = Object.entries(report.corpus.left_aside);
const note = "Quality is 0 to 100: (MOS − 1) / 4 for sound, SSIMULACRA 2 for video, mean of the encoded files. MOS is " +
  "ViSQOL v3's in speech mode (16 kHz). Scores are of the first 20 s, against the original upright, scaled and " +
  "tone-mapped as the profile asks.";
main.append(element("footer", {}, element("p", {}, note),
  element("p", {}, excluded.length ? `Not measured: ${excluded.map(([file, why]) => `${file} (${why})`).join(", ")}.` : "")));
