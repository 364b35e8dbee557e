"use strict";

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = ["svg", "image", "path", "g", "line", "text", "polyline", "circle", "title"].includes(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** One method's picture, patch, answer and reading. `state` is shared by all panels; `changed()` redraws the page. */
class Panel {
  constructor(side, method, state, changed) {
    this.side = side;
    this.method = method;
    this.view = "all";
    this.state = state;
    this.changed = changed;
    this.root = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.root.style.setProperty("--tone", `var(--${side})`);
    this.select = this.find("select");
    this.picture = this.find(".picture");
    this.select.addEventListener("change", () => {
      this.method = Number(this.select.value);
      changed();
    });
    for (const kind of ["pointermove", "pointerdown"]) this.picture.addEventListener(kind, (event) => this.point(event));
    this.picture.addEventListener("keydown", (event) => this.move(event));
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  /** The method shown; null = this panel is switched off. */
  get shown() {
    return this.method < 0 ? null : this.state.image.methods[this.method];
  }

  get views() {
    const layout = this.shown.layout;
    return this.view === "all" ? mainViews(layout) : [layout[Number(this.view)]];
  }

  /** Another image: its methods and pixels. */
  open(source) {
    const { image } = this.state;
    const options = image.methods.map((method, i) => make("option", { value: i }, method.name));
    if (this.side === "b") options.push(make("option", { value: -1 }, "– one picture –"));
    this.select.replaceChildren(...options);
    if (this.method >= image.methods.length) this.method = image.methods.length > 1 ? 1 : -1;
    const page = this.find(".page");
    page.setAttribute("href", source);
    page.setAttribute("width", image.size[0]);
    page.setAttribute("height", image.size[1]);
    page.classList.toggle("coarse", Math.max(...image.size) < 400);
  }

  draw() {
    this.select.value = this.method;
    this.root.classList.toggle("none", this.shown === null);
    this.root.hidden = this.side === "b" && this.state.image.methods.length === 1;
    if (this.shown === null) {
      this.find(".reply").replaceChildren();
      this.find(".read").replaceChildren();
      return;
    }
    const { image, budget, shade } = this.state;
    const method = this.shown;
    const run = runAt(method, budget);
    this.find(".about").textContent = method.about;
    const facts = [`keeps ${run.k} of ${method.layout.selectable} tokens`];
    if (method.runs.length === 1) facts[0] += ", whatever the budget";
    if (method.merges) facts.push("averages of patches");
    if (run.regions !== null) facts.push(`${Math.max(...run.regions) + 1} regions`);
    if (run.ink !== null) facts.push(`ink recall ${percent(run.ink)}`);
    this.find(".facts").textContent = facts.join(" · ");
    this.drawTabs(method.layout);
    const box = this.view === "all" ? [0, 0, 1, 1] : this.views[0].box;
    const [x, y, right, bottom] = box.map((edge, i) => edge * image.size[i % 2]);
    this.picture.setAttribute("viewBox", [x, y, right - x, bottom - y].join(" "));
    const label = `${method.name}: ${facts.join(", ")}. Arrow keys move over its patches.`;
    this.picture.setAttribute("aria-label", label);
    const values = valuesOf(method, run, shade);
    const dropped = values === null ? pathOver(this.views, image.size, (token) => !run.kept[token]) : "";
    this.find(".dropped").setAttribute("d", dropped);
    this.find(".heat").replaceChildren(...(values === null ? [] : this.heat(values)));
    const lined = this.state.lines && run.regions !== null;
    this.find(".borders").setAttribute("d", lined ? bordersOf(this.views, image.size, run.regions) : "");
    this.find(".reply").replaceChildren(...replyParts(run.reply, image));
    this.find(".read").replaceChildren(...readParts(run.read, image));
    this.drawPatch();
  }

  drawTabs(layout) {
    const row = this.find(".views");
    const names = layout.length > 1 ? [["all", "page"], ["0", "base view"]] : [];
    for (let i = 1; i < layout.length; i++) names.push([String(i), `crop ${i}`]);
    if (!names.some(([value]) => value === this.view)) this.view = "all";
    if (row.childElementCount !== names.length) {
      row.replaceChildren(
        ...names.map(([value, words]) => {
          const input = make("input", { type: "radio", name: `view-${this.side}`, value });
          input.addEventListener("change", () => {
            this.view = value;
            this.changed();
          });
          return make("label", {}, input, words);
        }),
      );
    }
    for (const input of row.querySelectorAll("input")) input.checked = input.value === this.view;
  }

  heat(values) {
    const { size } = this.state.image;
    const seen = this.shown.layout.flatMap((view) => Array.from(view.valid, (ok, i) => (ok ? values[view.start + i] : NaN)));
    const known = seen.filter((value) => !Number.isNaN(value));
    const [low, high] = [Math.min(...known), Math.max(...known)];
    return this.views.map((view) => {
      const [x0, y0, x1, y1] = view.box;
      const place = { x: x0 * size[0], y: y0 * size[1], width: (x1 - x0) * size[0], height: (y1 - y0) * size[1] };
      return make("image", { href: heatOf(view, values, low, high), preserveAspectRatio: "none", ...place });
    });
  }

  drawPatch() {
    if (this.shown === null) return;
    const { image, budget, point } = this.state;
    const at = point === null ? null : tokenAt(this.views, point);
    const hint = make("p", { class: "quiet" }, "Point at a patch, tap it, or move over it with the arrow keys.");
    const parts = at === null ? [hint] : patchParts(this.shown, runAt(this.shown, budget), at);
    this.find(".cursor").setAttribute("d", at === null ? "" : rectangle(at.view, image.size, at.row, at.col, 1));
    this.find(".patch").replaceChildren(...parts);
  }

  point(event) {
    const here = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.picture.getScreenCTM().inverse());
    const { size } = this.state.image;
    this.state.point = { x: here.x / size[0], y: here.y / size[1] };
    this.changed("patch");
  }

  move(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const old = this.state.point === null ? null : tokenAt(this.views, this.state.point);
    const first = tokenAt(this.views, { x: 0.5, y: 0.5 });
    if (old === null && first === null) return;
    const cell = cellOf((old ?? first).view);
    const centre = centreOf(old ?? first);
    const next = { x: centre.x + step[0] * cell.x, y: centre.y + step[1] * cell.y };
    this.state.point = old === null || tokenAt(this.views, next) === null ? centre : next;
    this.changed("patch");
  }
}

/** Per token what the picture is coloured by; null = kept and dropped. */
function valuesOf(method, run, shade) {
  if (shade === "kept") return null;
  if (shade === "score") return run.scores;
  const term = method.terms.find((each) => each.name === shade);
  return term === undefined ? null : term.values;
}
