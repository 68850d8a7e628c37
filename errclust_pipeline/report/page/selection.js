// What the reader's choices select: models, the scale of a map, points. Also the pieces of the page
// that name them.

import {
  data,
  column,
  confidenceOf,
  everyPoint,
  hasDifficulty,
  isRegion,
  models,
  nameOfRegion,
  ofBattles,
  once,
  pointsIn,
  rateIn,
  subjectOfPoint,
} from "./data.js";
import { bdi, el, rowsLink } from "./elements.js";
import { state } from "./state.js";
import { count, percent } from "./words.js";

// ------------------------------------------------------------------------------------- models

const numberOfModel = (name) => models.findIndex((model) => model.model === name);

export const modelNamed = (name) => models[numberOfModel(name)] ?? null;

export const chosenModel = () => models[Math.max(numberOfModel(state.model), 0)];

export function otherModel() {
  const chosen = Math.max(numberOfModel(state.model), 0);
  const other = numberOfModel(state.with);
  return other >= 0 && other !== chosen ? models[other] : models[chosen === 0 ? 1 : 0];
}

export function modelSelect(chosen, label, change) {
  const select = el(
    "select",
    { "aria-label": label, onchange: (event) => change(event.target.value) },
    models.map((model) => el("option", { value: model.model }, model.model)),
  );
  select.value = chosen.model;
  return select;
}

// ---------------------------------------------------------------------------------------- map

// Whether errors beyond difficulty are shown instead of errors.
export const showsBeyond = () => state.show === "beyond" && hasDifficulty(chosenModel());

// What the map of errors shows: errors, errors beyond difficulty, or the size of prediction sets.
export function shownOnMap() {
  if (state.show === "sets" && confidenceOf(chosenModel())) return "sets";
  return showsBeyond() ? "beyond" : "errors";
}

// The number of neighbours at which a model's map is shown: the nearest to the one chosen.
export function chosenScale(model) {
  const scales = model.scales.map((scale) => scale.k);
  if (!scales.length) return null;
  const wanted = Number(state.k) || 100;
  return scales.reduce((best, k) => (Math.abs(k - wanted) < Math.abs(best - wanted) ? k : best));
}

// ------------------------------------------------------------------------------------- points

export const subjectNumber = () =>
  ofBattles && state.subject ? data.questions.subjects.indexOf(state.subject) : -1;

const hotRegionsOf = (model) =>
  ofBattles ? [] : [...model.hotRegions, ...(confidenceOf(model)?.places ?? [])];

// The points of the chosen hot region, subject or region, or null if none is chosen.
export function chosenPoints() {
  if (state.hot) {
    const [basis, rank] = state.hot.split(/-(?=\d+$)/);
    const owner = modelNamed(state.owner) ?? chosenModel();
    const hot = hotRegionsOf(owner).find((region) => region.basis === basis && String(region.rank) === rank);
    if (hot) return { points: [...once(hot, "points", () => column(hot.points, Int32Array))], hot, owner };
  }
  if (subjectNumber() >= 0) {
    return { points: everyPoint.filter((point) => subjectOfPoint[point] === subjectNumber()), hot: null };
  }
  return isRegion(state.region) ? { points: pointsIn(state.region), hot: null } : null;
}

// ----------------------------------------------------------------------------------- as nodes

export const regionName = (id) => [el("span", { class: "id" }, id), " ", bdi(nameOfRegion(id))];

export const partsLine = (parts) =>
  parts.length
    ? el(
        "p",
        { class: "chips" },
        el("span", { class: "dim small" }, "Parts: "),
        parts.map((part) =>
          el("a", { class: "chip", href: { region: part.id, rows: "" } }, ...regionName(part.id)),
        ),
      )
    : null;

// Where a region stands in the hierarchy, and what characterises it.
export function regionHead(region) {
  if (!region) return [];
  return [
    region.parent
      ? el(
          "p",
          { class: "small" },
          "part of ",
          el("a", { href: { region: region.parent, rows: "" } }, ...regionName(region.parent)),
        )
      : null,
    region.phrases.length ? el("p", { class: "dim small" }, bdi(region.phrases.join(", "))) : null,
    region.description ? el("p", { class: "small" }, bdi(region.description)) : null,
  ];
}

// Error rates of all models among some points, as bars.
export function ratesByModel(here, change) {
  return el(
    "ul",
    { class: "bars", "aria-label": "Error rates here" },
    models.map((model) => {
      const { rate, wrong, asked } = rateIn(model, here);
      return el(
        "li",
        { class: model === chosenModel() ? "chosen" : "" },
        el("a", { href: { ...change, model: model.model, rows: "" }, class: "bar-name" }, bdi(model.model)),
        el(
          "span",
          { class: "bar-track" },
          el("span", { class: "bar-fill", style: { width: `${100 * (rate || 0)}%` } }),
        ),
        el("span", { class: "number" }, asked ? percent(rate) : "–"),
        rowsLink(
          count(wrong),
          { ...change, model: model.model, rows: "errors" },
          `List the ${count(wrong)} errors of ${model.model} here`,
        ),
      );
    }),
  );
}

// Which models are wrong at a point.
export function whoFailed(point) {
  return el(
    "ul",
    { class: "who" },
    models.map((model) => {
      const result = { 1: "wrong", 0: "right" }[model.stateOf[point]] ?? "unasked";
      return el(
        "li",
        { class: result },
        el("span", { "aria-hidden": "true" }, { wrong: "✗ ", right: "✓ ", unasked: "· " }[result]),
        bdi(model.model),
        el("span", { class: "visually-hidden" }, result === "unasked" ? " not counted" : ` ${result}`),
      );
    }),
  );
}
