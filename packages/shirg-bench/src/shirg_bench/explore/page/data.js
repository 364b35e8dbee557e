"use strict";

/** The page's data: JSON, gzipped, in base64; see `shirg_bench.explore.encode`. */
async function readData() {
  const packed = bytesOf(document.getElementById("data").textContent.trim());
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** n flags, 0 or 1, from bits in base64, first flag in the highest bit. */
function flagsOf(text, n) {
  const bytes = bytesOf(text);
  return Uint8Array.from({ length: n }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
}

/** Unpacks an image's bits, and gives every run its arrays in place of their numbers. */
function unpackImage(image) {
  for (const layout of image.layouts) {
    let start = 0;
    for (const view of layout) {
      const n = view.grid[0] * view.grid[1];
      view.start = start;
      view.valid = view.valid === null ? new Uint8Array(n).fill(1) : flagsOf(view.valid, n);
      start += n;
    }
    layout.tokens = start;
    layout.selectable = layout.reduce((sum, view) => sum + view.valid.reduce((a, b) => a + b, 0), 0);
  }
  const array = (number) => (number === null ? null : image.arrays[number]);
  for (const method of image.methods) {
    method.layout = image.layouts[method.layout];
    for (const term of method.terms) term.values = array(term.values);
    for (const run of method.runs) {
      run.kept = flagsOf(run.kept, method.layout.tokens);
      for (const name of ["scores", "ranks", "regions"]) run[name] = array(run[name]);
    }
  }
}

/** The run at a budget; a method that takes no budget has one run for all. */
function runAt(method, budget) {
  return method.runs[Math.min(budget, method.runs.length - 1)];
}

function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}
