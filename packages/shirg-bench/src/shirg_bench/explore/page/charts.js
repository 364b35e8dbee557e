"use strict";

const CHART = { width: 420, height: 190, left: 44, right: 12, top: 14, bottom: 30 };

/** Charts of the image: what there is to draw against the budget, each a value in [0, 1] of a run, or null. */
function chartsOf(image) {
  const has = (value) => image.methods.some((method) => method.runs.some((run) => value(run) !== null));
  const right = (run) => (run.reply === null ? null : run.reply.right);
  const confidence = has(right) ? "filled: right answer, hollow: wrong" : "";
  return [
    { title: "Confidence of the answer", legend: confidence, value: (run) => (run.reply === null ? null : run.reply.confidence), right },
    { title: "Lines a reader still reads", legend: "", value: (run) => (run.read === null ? null : share(run.read)) },
    { title: "Ink recall", legend: "share of the edges under kept patches", value: (run) => run.ink },
  ].filter((chart) => has(chart.value));
}

function share(flags) {
  return flags.length ? flags.reduce((a, b) => a + b, 0) / flags.length : null;
}

/** One chart as a figure; `choose(budget)` is called when a budget is clicked. */
function drawChart(chart, image, labels, budget, sides, choose) {
  const { width, height, left, right, top, bottom } = CHART;
  const last = Math.max(1, labels.length - 1);
  const x = (i) => left + ((width - left - right) * i) / last;
  const y = (value) => top + (height - top - bottom) * (1 - value);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(make("title", {}, describe(chart, image, labels, budget, sides)));
  for (const value of [0, 0.5, 1]) {
    svg.append(make("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, `${100 * value}%`));
  }
  const every = Math.ceil(labels.length / 7);
  labels.forEach((label, i) => {
    if (i !== last && (i % every || i > last - every)) return;
    svg.append(make("text", { x: x(i), y: height - 10, "text-anchor": i === last ? "end" : "middle" }, label));
  });
  svg.append(make("line", { class: "now", x1: x(budget), x2: x(budget), y1: top, y2: height - bottom }));
  const order = image.methods.map((_, i) => i).sort((i, j) => (i in sides) - (j in sides));
  for (const i of order) svg.append(curve(chart, image.methods[i], sides[i], labels.length, x, y));
  svg.addEventListener("click", (event) => {
    const here = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    choose(Math.max(0, Math.min(labels.length - 1, Math.round(((here.x - left) / (width - left - right)) * last))));
  });
  const others = image.methods.filter((method, i) => !(i in sides) && method.runs.some((run) => chart.value(run) !== null));
  const grey = others.length ? `grey: ${others.map((method) => method.name).join(", ")}` : "";
  const legend = make("p", { class: "legend" }, [chart.legend, grey].filter(Boolean).join(" · "));
  return make("figure", { class: "chart" }, make("h2", {}, `${chart.title} against budget`), svg, legend);
}

/** A method's line: in the colour of its panel, or faint; level for a method that takes no budget. */
function curve(chart, method, side, count, x, y) {
  const fixed = method.runs.length === 1 && count > 1;
  const runs = fixed ? [method.runs[0], method.runs[0]] : method.runs;
  const places = fixed ? [0, count - 1] : runs.map((_, i) => i);
  const points = runs.map((run, i) => ({ run, at: x(places[i]), value: chart.value(run) })).filter((each) => each.value !== null);
  const group = make("g", side === undefined ? { class: "faint" } : { style: `--tone: var(--${side})` });
  const line = points.map((each) => `${each.at.toFixed(1)},${y(each.value).toFixed(1)}`).join(" ");
  group.append(make("polyline", { points: line, class: fixed ? "level" : "" }, make("title", {}, method.name)));
  if (side === undefined) return group;
  for (const each of points) {
    const wrong = chart.right !== undefined && chart.right(each.run) === false;
    group.append(make("circle", { cx: each.at, cy: y(each.value), r: 3.5, class: wrong ? "wrong" : "" }));
  }
  return group;
}

/** The chart in words, for those who do not see it. */
function describe(chart, image, labels, budget, sides) {
  const values = Object.keys(sides).map((i) => {
    const value = chart.value(runAt(image.methods[i], budget));
    return `${image.methods[i].name} ${value === null ? "unknown" : percent(value)}`;
  });
  return `${chart.title} at budget ${labels[budget]}: ${values.join(", ")}`;
}
