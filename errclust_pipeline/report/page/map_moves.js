// How the reader moves the map and asks it: drag, pinch, wheel, keyboard, hover and click.

import { whoWon } from "./battle_map.js";
import {
  NO_RATE,
  everyPoint,
  mapX,
  ofBattles,
  questions,
  regionAt,
  subjectAt,
  texts,
  withTexts,
} from "./data.js";
import { $, bdi, el, fill } from "./elements.js";
import { canvasSize, colouring, extent, pixelsPerUnit, placeOfPoint, redraw, view } from "./map.js";
import { regionName, whoFailed } from "./selection.js";
import { go, state } from "./state.js";
import { shortened } from "./words.js";

// The point under the pointer; -1 if none is near.
function nearest(x, y) {
  let best = -1;
  let least = 14 * 14;
  for (const point of everyPoint) {
    const [dx, dy] = [placeOfPoint.x[point] - x, placeOfPoint.y[point] - y];
    const distance = dx * dx + dy * dy;
    if (distance < least) [least, best] = [distance, point];
  }
  return best;
}

function showHover(point, x, y) {
  const hover = $("hover");
  if (point < 0) {
    hover.hidden = true;
    return;
  }
  const question = questions.ofPoint[point];
  const subject = subjectAt(point);
  const region = regionAt(point);
  const shown = colouring();
  const value = shown && shown.values[point] !== NO_RATE ? shown.said(shown.values[point]) : null;
  fill(
    hover,
    el(
      "p",
      { class: "hover-question" },
      bdi(texts && question >= 0 ? shortened(texts.questions[question], 240) : "…"),
    ),
    el(
      "p",
      { class: "dim small" },
      subject ? [bdi(subject), " · "] : "",
      region ? regionName(region) : "in no region",
      value ? ` · ${value}` : "",
    ),
    ofBattles ? whoWon(point) : whoFailed(point),
  );
  hover.hidden = false;
  const [across, down] = [hover.offsetWidth, hover.offsetHeight];
  const below = y + 16 + down <= canvasSize.tall;
  hover.style.left = `${Math.max(4, Math.min(x + 14, canvasSize.wide - across - 4))}px`;
  hover.style.top = `${below ? y + 16 : Math.max(4, y - down - 12)}px`;
}

// --------------------------------------------------------------------------------------- moves

function keepInside() {
  if (view.scale === 1) [view.x, view.y] = [0.5, 0.5];
  view.x = Math.min(Math.max(view.x, 0), 1);
  view.y = Math.min(Math.max(view.y, 0), 1);
  $("hover").hidden = true;
  redraw();
}

// Magnify by a factor; what lies under (x, y) stays there. A factor of 0 shows the whole map.
function zoom(factor, x = canvasSize.wide / 2, y = canvasSize.tall / 2) {
  const [[, spanX], [, spanY]] = extent();
  const before = pixelsPerUnit();
  view.scale = Math.min(Math.max(view.scale * factor, 1), 40);
  const after = pixelsPerUnit();
  view.x += ((x - canvasSize.wide / 2) * (1 / before - 1 / after)) / spanX;
  view.y -= ((y - canvasSize.tall / 2) * (1 / before - 1 / after)) / spanY;
  keepInside();
}

function pan(dx, dy) {
  const [[, spanX], [, spanY]] = extent();
  const perUnit = pixelsPerUnit();
  view.x -= dx / perUnit / spanX;
  view.y += dy / perUnit / spanY;
  keepInside();
}

// A click on a dot chooses its region, the finer the closer the map is; beside all dots, none.
function choose(x, y) {
  const point = nearest(x, y);
  if (point < 0) {
    showHover(-1);
    if (state.region || state.hot || state.subject) go({ region: "", hot: "", subject: "" });
    return;
  }
  withTexts().then(() => showHover(point, x, y));
  const id = regionAt(point) ?? "";
  go({ region: view.scale <= 2.4 ? id.split(".")[0] : id, rows: "", hot: "", subject: "" });
}

// ----------------------------------------------------------------------------------- listeners

function placeIn(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const distanceOf = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;

function listenToPointers(canvas) {
  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeIn(canvas, event));
    if (pointers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = placeIn(canvas, event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "mouse") return;
      withTexts();
      showHover(nearest(...here), ...here);
      return;
    }
    moved += Math.abs(here[0] - before[0]) + Math.abs(here[1] - before[1]);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      zoom(
        distanceOf(here, other) / distanceOf(before, other),
        (here[0] + other[0]) / 2,
        (here[1] + other[1]) / 2,
      );
    } else if (moved > 4) pan(here[0] - before[0], here[1] - before[1]);
    pointers.set(event.pointerId, here);
  });
  const released = (event) => {
    const alone = pointers.size === 1 && pointers.has(event.pointerId);
    pointers.delete(event.pointerId);
    if (event.type === "pointerup" && alone && moved <= 6) choose(...placeIn(canvas, event));
  };
  canvas.addEventListener("pointerup", released);
  canvas.addEventListener("pointercancel", released);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") $("hover").hidden = true;
  });
}

const ARROWS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
const ZOOMS = { "+": 1.4, "=": 1.4, "-": 1 / 1.4, 0: 0 };

export function listenToMap() {
  if (!mapX) return;
  const canvas = $("canvas");
  listenToPointers(canvas);
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 200), ...placeIn(canvas, event));
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", (event) => zoom(1.8, ...placeIn(canvas, event)));
  canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) pan(...ARROWS[event.key]);
    else if (event.key in ZOOMS) zoom(ZOOMS[event.key]);
    else return;
    event.preventDefault();
  });
  $("zoom-in").addEventListener("click", () => zoom(1.5));
  $("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  $("zoom-reset").addEventListener("click", () => zoom(0));
  new ResizeObserver(redraw).observe($("map-frame"));
}
