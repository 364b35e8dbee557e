"use strict";

/** What there is to say about one patch of a run. */
function patchParts(method, run, at) {
  const place = `row ${at.row + 1}, column ${at.col + 1}`;
  const kept = run.kept[at.token] === 1;
  const facts = [make("b", { class: kept ? "good" : "bad" }, kept ? "kept" : "dropped")];
  if (kept && run.regions !== null && run.ranks[at.token] > run.k) facts.push(" for its region");
  facts.push(` · ${place}`);
  if (run.ranks !== null) facts.push(` · rank ${run.ranks[at.token]} of ${method.layout.selectable}`);
  if (run.regions !== null) facts.push(` · region ${run.regions[at.token] + 1}`);
  const head = make("p", {}, ...facts);
  if (run.scores === null) return [head, make("p", { class: "quiet" }, "Every token is read: there is no score.")];
  const rows = method.terms.map((term) => {
    const value = term.values[at.token] / 1000;
    const bar = make("i", { style: `width: ${100 * value}%` });
    const product = `${value.toFixed(3)} × ${term.weight}`;
    return make("tr", {}, make("th", {}, term.name), make("td", { class: "bar" }, bar), make("td", {}, product));
  });
  const score = make("td", {}, String(run.scores[at.token]));
  rows.push(make("tr", {}, make("th", {}, make("b", {}, "score")), make("td", { class: "bar" }), score));
  return [head, make("table", {}, make("tbody", {}, ...rows))];
}

/** The answer, how sure the model was, and the steps it took. */
function replyParts(reply, image) {
  if (reply === null) return [];
  const answer = make("p", { class: "answer" }, reply.text || "(empty)");
  if (reply.right !== null) {
    const verdict = reply.right ? " ✓" : ` ✗ expected ${image.expected}`;
    answer.append(make("span", { class: reply.right ? "good" : "bad" }, verdict));
  }
  const sure = `confidence ${reply.confidence.toFixed(3)} (least), ${reply.mean.toFixed(3)} (mean)`;
  const cost = `${reply.tokens} visual tokens in the prompt, newlines and summary included`;
  const steps = make("ol", { class: "steps" }, ...reply.steps.map((text) => make("li", {}, text || " ")));
  const title = `${reply.steps.length} denoising steps`;
  return [answer, make("p", { class: "facts" }, `${sure} · ${cost}`), make("details", { open: "" }, make("summary", {}, title), steps)];
}

/** The page's lines, those that a reader no longer reads struck through. */
function readParts(read, image) {
  if (read === null) return [];
  const count = read.reduce((a, b) => a + b, 0);
  const lines = image.lines.map((text, i) => make("li", {}, read[i] ? text : make("del", {}, text)));
  const title = `A reader (PP-OCRv6) still reads ${count} of ${read.length} lines`;
  return [make("details", {}, make("summary", {}, title), make("ul", {}, ...lines))];
}
