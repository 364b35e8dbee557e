"use strict";

/** Views drawn over the whole image: all crops, or the only view there is. */
function mainViews(layout) {
  return layout.length > 1 ? layout.slice(1) : layout;
}

/** The token of some views under a point in units of the image: {view, row, col, token}, or null. */
function tokenAt(views, point) {
  for (const view of [...views].reverse()) {
    const [x0, y0, x1, y1] = view.box;
    const col = Math.floor(((point.x - x0) / (x1 - x0)) * view.grid[1]);
    const row = Math.floor(((point.y - y0) / (y1 - y0)) * view.grid[0]);
    if (row >= 0 && col >= 0 && row < view.grid[0] && col < view.grid[1]) {
      const place = row * view.grid[1] + col;
      return view.valid[place] ? { view, row, col, token: view.start + place } : null;
    }
  }
  return null;
}

/** Width and height of a view's patches, in units of the image. */
function cellOf(view) {
  const [x0, y0, x1, y1] = view.box;
  return { x: (x1 - x0) / view.grid[1], y: (y1 - y0) / view.grid[0] };
}

function centreOf(at) {
  const cell = cellOf(at.view);
  return { x: at.view.box[0] + (at.col + 0.5) * cell.x, y: at.view.box[1] + (at.row + 0.5) * cell.y };
}

function rectangle(view, size, row, col, cols) {
  const cell = cellOf(view);
  const [x, y] = [(view.box[0] + col * cell.x) * size[0], (view.box[1] + row * cell.y) * size[1]];
  const [w, h] = [cols * cell.x * size[0], cell.y * size[1]];
  return `M${x.toFixed(2)} ${y.toFixed(2)}h${w.toFixed(2)}v${h.toFixed(2)}h${(-w).toFixed(2)}z`;
}

/** A path around the tokens that `wanted(token)` names, neighbours in a row joined. */
function pathOver(views, size, wanted) {
  const parts = [];
  for (const view of views) {
    const [rows, cols] = view.grid;
    for (let row = 0; row < rows; row++) {
      let first = -1;
      for (let col = 0; col <= cols; col++) {
        const place = row * cols + col;
        const inside = col < cols && view.valid[place] && wanted(view.start + place);
        if (inside && first < 0) first = col;
        if (!inside && first >= 0) {
          parts.push(rectangle(view, size, row, first, col - first));
          first = -1;
        }
      }
    }
  }
  return parts.join("");
}

/** A path along the borders between different regions. */
function bordersOf(views, size, regions) {
  const parts = [];
  for (const view of views) {
    const [rows, cols] = view.grid;
    const cell = cellOf(view);
    const at = (row, col) => [(view.box[0] + col * cell.x) * size[0], (view.box[1] + row * cell.y) * size[1]];
    const region = (row, col) => regions[view.start + row * cols + col];
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        const [x, y] = at(row, col);
        if (col && region(row, col) !== region(row, col - 1)) parts.push(`M${x} ${y}v${cell.y * size[1]}`);
        if (row && region(row, col) !== region(row - 1, col)) parts.push(`M${x} ${y}h${cell.x * size[0]}`);
      }
    }
  }
  return parts.join("");
}

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/** Values of a view's tokens as a picture of one pixel a token, from `low` (violet) to `high` (yellow). */
function heatOf(view, values, low, high) {
  const [rows, cols] = view.grid;
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(cols, rows);
  for (let i = 0; i < rows * cols; i++) {
    const share = high > low ? (4 * (values[view.start + i] - low)) / (high - low) : 0;
    const below = Math.min(3, Math.floor(share));
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [VIRIDIS[below][channel], VIRIDIS[below + 1][channel]];
      pixels.data[4 * i + channel] = from + (to - from) * (share - below);
    }
    pixels.data[4 * i + 3] = view.valid[i] ? 255 : 0;
  }
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}
