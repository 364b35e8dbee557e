"use strict";

/** Start the page: read the data, then let controls and panels redraw it. */
async function start() {
  const data = await readData();
  data.images.forEach(unpackImage);
  const byId = (id) => document.getElementById(id);
  const state = { image: data.images[0], budget: data.start, shade: "kept", lines: false, point: null };
  const panels = ["a", "b"].map((side, i) => new Panel(side, i, state, draw));
  byId("panels").append(...panels.map((panel) => panel.root));
  const [image, budget, shade, lines] = ["image", "budget", "shade", "lines"].map(byId);

  function open() {
    const number = Number(image.value);
    state.image = data.images[number];
    state.point = null;
    const source = document.querySelector(`#still-${number} image`).getAttribute("href");
    panels.forEach((panel) => panel.open(source));
    const { question, expected, model, notes } = state.image;
    const known = expected === null ? "" : ` (expected: ${expected})`;
    byId("asked").textContent = question === null ? state.image.name : `“${question}”${known} · ${model} on ${state.image.name}`;
    byId("notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
    const terms = new Set(state.image.methods.flatMap((method) => method.terms.map((term) => term.name)));
    const shades = [["kept", "kept and dropped"], ["score", "score"], ...Array.from(terms, (name) => [name, name])];
    shade.replaceChildren(...shades.map(([value, words]) => make("option", { value }, words)));
    if (!shades.some(([value]) => value === state.shade)) state.shade = "kept";
    shade.value = state.shade;
    byId("lines").parentElement.hidden = !state.image.methods.some((method) => method.runs.some((run) => run.regions));
    draw();
  }

  function draw(what = "all") {
    if (what === "patch") {
      panels.forEach((panel) => panel.drawPatch());
      return;
    }
    budget.value = state.budget;
    const shown = panels.filter((panel) => panel.shown !== null);
    byId("panels").classList.toggle("single", shown.length === 1);
    const counts = [...new Set(shown.map((panel) => `${panel.shown.name} ${runAt(panel.shown, state.budget).k}`))];
    const label = data.budgets[state.budget];
    byId("kept").textContent = `${label} · ${counts.join(", ")} tokens`;
    budget.setAttribute("aria-valuetext", byId("kept").textContent);
    panels.forEach((panel) => panel.draw());
    const sides = {};
    for (const panel of [...shown].reverse()) sides[panel.method] = panel.side;
    const charts = chartsOf(state.image).map((chart) => drawChart(chart, state.image, data.budgets, state.budget, sides, choose));
    byId("charts").replaceChildren(...charts);
  }

  function choose(number) {
    state.budget = number;
    draw();
  }

  image.replaceChildren(...data.images.map((each, i) => make("option", { value: i }, each.name)));
  byId("which").hidden = data.images.length < 2;
  budget.max = data.budgets.length - 1;
  image.addEventListener("change", open);
  budget.addEventListener("input", () => choose(Number(budget.value)));
  shade.addEventListener("change", () => {
    state.shade = shade.value;
    draw();
  });
  lines.addEventListener("change", () => {
    state.lines = lines.checked;
    draw();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  open();
  document.documentElement.classList.add("js");
  byId("app").hidden = false;
}

start();
