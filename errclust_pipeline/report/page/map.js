// The picture of the map on its canvas: dots, names of regions, legend. What the dots show comes
// from `error_map.js` or `battle_map.js`; how the reader moves the map, from `map_moves.js`.

import { battleColouring } from "./battle_map.js";
import { STEPS } from "./colours.js";
import {
  NO_RATE,
  data,
  everyPoint,
  isRegion,
  mapX,
  mapY,
  nameOfRegion,
  ofBattles,
  once,
  partsOf,
  pointCount,
  pointsIn,
  regions,
  unit,
} from "./data.js";
import { $, dimSmall, el, fill, gradient } from "./elements.js";
import { errorColouring } from "./error_map.js";
import { chosenModel, chosenPoints } from "./selection.js";
import { state } from "./state.js";
import { count, percent, plural } from "./words.js";

// What is in sight: the magnification, and the middle as a share of the extent.
export const view = { scale: 1, x: 0.5, y: 0.5 };
// The size of the canvas, and each point's place on it, in CSS pixels.
export const canvasSize = { wide: 0, tall: 0 };
export const placeOfPoint = { x: new Float32Array(pointCount), y: new Float32Array(pointCount) };

export const colouring = () => (ofBattles ? battleColouring() : errorColouring());

// Where most points lie: a few that are far off would leave the rest a small heap.
export const extent = () =>
  once(data, "extent", () =>
    [mapX, mapY].map((values) => {
      const sorted = Array.from(values).sort((a, b) => a - b);
      const low = sorted[Math.floor(pointCount * 0.002)];
      const high = sorted[Math.ceil(pointCount * 0.998) - 1] ?? sorted[pointCount - 1];
      return [low, Math.max(high - low, 1)];
    }),
  );

// Pixels for each unit of the map's coordinates.
export function pixelsPerUnit() {
  const [[, spanX], [, spanY]] = extent();
  return view.scale * Math.min((canvasSize.wide - 36) / spanX, (canvasSize.tall - 36) / spanY);
}

function preparedCanvas() {
  const canvas = $("canvas");
  const density = Math.min(window.devicePixelRatio || 1, 2);
  canvasSize.wide = $("map-frame").clientWidth;
  canvasSize.tall = $("map-frame").clientHeight;
  canvas.width = Math.round(canvasSize.wide * density);
  canvas.height = Math.round(canvasSize.tall * density);
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  const [[lowX, spanX], [lowY, spanY]] = extent();
  const perUnit = pixelsPerUnit();
  for (const point of everyPoint) {
    placeOfPoint.x[point] = canvasSize.wide / 2 + (mapX[point] - lowX - spanX * view.x) * perUnit;
    placeOfPoint.y[point] = canvasSize.tall / 2 - (mapY[point] - lowY - spanY * view.y) * perUnit;
  }
  context.clearRect(0, 0, canvasSize.wide, canvasSize.tall);
  return context;
}

// ---------------------------------------------------------------------------------------- dots

const PLAIN = 0;
const COLD = 1;
const HOT = 2;
const UNKNOWN = STEPS + 1;

function lookOf(point, shown) {
  if (!shown || shown.values[point] === NO_RATE) return [PLAIN, UNKNOWN];
  const share = (shown.values[point] - shown.low) / (shown.high - shown.low);
  const colour = Math.round(STEPS * Math.min(Math.max(share, 0), 1));
  const test = shown.hot ? shown.hot[point] : 0;
  return [test === 1 ? HOT : test === -1 ? COLD : PLAIN, colour];
}

// Dots that look alike are one path, which is quick enough to redraw at every move. The number of a
// look orders the drawing: what was not chosen lies lowest, then what is neither hot nor cold.
function pathsByLook(shown, chosen) {
  const inside = chosen ? new Set(chosen.points) : null;
  const paths = new Map();
  for (const point of everyPoint) {
    const [x, y] = [placeOfPoint.x[point], placeOfPoint.y[point]];
    if (x < -9 || y < -9 || x > canvasSize.wide + 9 || y > canvasSize.tall + 9) continue;
    const [kind, colour] = lookOf(point, shown);
    const order = (inside && !inside.has(point) ? 0 : 10000) + 1000 * kind + colour;
    if (!paths.has(order)) paths.set(order, []);
    paths.get(order).push(x, y);
  }
  return [...paths].sort(([a], [b]) => a - b);
}

function drawDots(context, shown, chosen) {
  const bySize = Math.max(1.9, 120 / Math.sqrt(pointCount)) * Math.sqrt(view.scale);
  const size = Math.min(6, bySize) * Math.min(1, 0.45 + canvasSize.wide / 1300);
  for (const [order, path] of pathsByLook(shown, chosen)) {
    const dimmed = order < 10000;
    const kind = Math.floor((order % 10000) / 1000);
    const colour = order % 1000;
    const radius = size * (kind === PLAIN ? 0.85 : 1.2);
    context.beginPath();
    for (let at = 0; at < path.length; at += 2) {
      context.moveTo(path[at] + radius, path[at + 1]);
      // A square, so that the shape says it as well as the colour.
      if (kind === COLD)
        context.rect(path[at] - radius * 0.9, path[at + 1] - radius * 0.9, radius * 1.8, radius * 1.8);
      else context.arc(path[at], path[at + 1], radius, 0, 6.2832);
    }
    context.fillStyle = colour === UNKNOWN ? "#c9d0d8" : shown.colours[colour];
    context.globalAlpha = dimmed ? 0.16 : kind === PLAIN ? 0.85 : 1;
    context.fill();
    if (kind !== PLAIN && !dimmed && size > 1.3) {
      context.lineWidth = size > 3 ? 0.8 : 0.5;
      context.strokeStyle = kind === HOT ? "#4a1a02" : "#0b4a8f";
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

// --------------------------------------------------------------------------------------- names

const middleOf = (places, here) => {
  const sorted = here.map((point) => places[point]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
};
const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// Write the name of a region amid its points, unless another name is there already.
function drawName(context, id, strong, boxes) {
  const here = pointsIn(id);
  if (!here.length) return;
  const { wide, tall } = canvasSize;
  const label = nameOfRegion(id);
  const written = label.length > 30 ? `${label.slice(0, 29)}…` : label;
  context.font = `${strong ? 700 : 600} ${wide < 500 ? 11 : 12}px system-ui, sans-serif`;
  const half = context.measureText(written).width / 2;
  const middle = middleOf(placeOfPoint.x, here);
  const x = Math.min(Math.max(middle, half + 4), wide - half - 4);
  const y = middleOf(placeOfPoint.y, here) - 13;
  if (y < 8 || y > tall - 8 || middle < 0 || middle > wide) return;
  const box = [x - half - 3, y - 9, x + half + 3, y + 9];
  if (!strong && boxes.some((other) => overlap(box, other))) return;
  boxes.push(box);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.strokeStyle = "rgba(255,255,255,.92)";
  context.lineWidth = 4;
  context.strokeText(written, x, y);
  context.fillStyle = strong ? "#0b4a8f" : "#1b2430";
  context.fillText(written, x, y);
}

function drawNames(context, chosen) {
  const boxes = [];
  if (state.region && !state.subject && !chosen?.hot && isRegion(state.region))
    drawName(context, state.region, true, boxes);
  if (chosen) return;
  const level = view.scale > 2.4 ? 2 : 1;
  const named = regions.filter(
    (region) => region.level === level || (level === 2 && region.level === 1 && !partsOf(region.id).length),
  );
  for (const region of named.sort((a, b) => b.size - a.size)) drawName(context, region.id, false, boxes);
}

// -------------------------------------------------------------------------------------- legend

function drawLegend(shown) {
  if (!shown) {
    fill($("legend"));
    return;
  }
  const number = (result) => everyPoint.reduce((sum, point) => sum + (shown.hot[point] === result), 0);
  const key = (kind) => el("span", { class: `key ${kind} ${ofBattles ? "wins" : ""}` });
  fill(
    $("legend"),
    el("span", { class: "nowrap" }, `${shown.words[0]} `, gradient(shown.stops), ` ${shown.words[1]}`),
    shown.hot
      ? [
          el("span", {}, key("hot"), ` ${shown.names[0]}: ${plural(number(1), unit)} ${shown.hotWords}`),
          el("span", {}, key("cold"), ` ${shown.names[1]}: ${count(number(-1))} ${shown.coldWords}`),
          dimSmall(
            `${shown.test}; false discovery rate ${percent(data.fdr)} over all ${unit}s (Benjamini-Hochberg).`,
          ),
        ]
      : dimSmall(shown.test),
  );
}

export function drawMap() {
  if (!mapX) {
    $("map-frame").hidden = true;
    fill(
      $("legend"),
      el(
        "p",
        { class: "dim" },
        "There is no picture of the map because its 2-D layout is switched off in the settings (clustering.layout). Regions and all statistics are shown.",
      ),
    );
    return;
  }
  const shown = colouring();
  const chosen = chosenPoints();
  const context = preparedCanvas();
  drawDots(context, shown, chosen);
  drawNames(context, chosen);
  $("canvas").setAttribute(
    "aria-label",
    `Map of ${plural(pointCount, unit)}, coloured by ${shown ? shown.of : "nothing"} of ${chosenModel().model}. The region list above and the tables say the same in words.`,
  );
  drawLegend(shown);
}

let waiting = false;

// Draw the map anew before the next frame.
export function redraw() {
  if (waiting || !mapX) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    drawMap();
  });
}
