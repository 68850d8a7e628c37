// The map of a benchmark: what it can show of a model's errors, in which colours, with which test.

import { DIVERGING, EXCESS_COLOURS, RATE_COLOURS, SEQUENTIAL } from "./colours.js";
import { setSizesInWords } from "./confidence.js";
import { NO_RATE, confidenceOf, data, hasDifficulty, isRegion, once, regions, scaleOf } from "./data.js";
import { $, bdi, button, choice, el, fill, labelled } from "./elements.js";
import { chosenModel, chosenScale, showsBeyond, shownOnMap } from "./selection.js";
import { go, state } from "./state.js";
import { pInWords, percent, points } from "./words.js";

export const regionOptions = (prefix = "") =>
  regions.map((region) =>
    el(
      "option",
      { value: `${prefix}${region.id}` },
      `${" ".repeat(region.level - 1)}${region.id} ${region.label}`,
    ),
  );

function drawErrorMapControls(model, k) {
  const region = el(
    "select",
    { id: "region-choice", onchange: (event) => go({ region: event.target.value, rows: "", hot: "" }) },
    el("option", { value: "" }, "all regions"),
    regionOptions(),
  );
  region.value = isRegion(state.region) ? state.region : "";
  const show = (text, name) => button(text, shownOnMap() === name, () => go({ show: name }));
  fill(
    $("map-controls"),
    choice(
      "Show",
      show("error rate", "errors"),
      hasDifficulty(model) ? show("beyond difficulty", "beyond") : null,
      confidenceOf(model) ? show("set size", "sets") : null,
    ),
    data.scales.length > 1 && shownOnMap() !== "sets"
      ? choice(
          "Neighbours",
          ...data.scales.map((scale) => button(String(scale), scale === k, () => go({ k: String(scale) }))),
        )
      : null,
    labelled("Region", region),
  );
}

function concentration(model, k) {
  const test = model.autocorrelation.find(
    (row) => row.mark === (showsBeyond() ? "residual" : "errors") && row.k === k,
  );
  if (!test || test.moran === null || test.z === null) return "Whether they cluster on the map is not known.";
  const moran = `Moran's I is ${test.moran.toFixed(3)} at ${k} neighbours`;
  const p = `${pInWords("p", test.p)} by permutation`;
  return test.z >= 2
    ? `They cluster on the map: ${moran}, ${test.z.toFixed(0)} standard deviations above what a random arrangement gives (${p}).`
    : `There is no clear evidence that they cluster on the map: ${moran} (z = ${test.z.toFixed(1)}, ${p}).`;
}

export function drawErrorMapHead() {
  const model = chosenModel();
  const k = chosenScale(model);
  drawErrorMapControls(model, k);
  if (shownOnMap() === "sets") {
    fill($("map-title"), "The map: where ", bdi(model.model), " is uncertain");
    fill(
      $("map-claim"),
      "Size of the prediction sets among each question's neighbours, as a share of the options: the larger, the less the model knows. ",
      setSizesInWords(confidenceOf(model)),
    );
    return;
  }
  fill($("map-title"), "The map: where ", bdi(model.model), " errs");
  fill(
    $("map-claim"),
    showsBeyond()
      ? "Error rate among each question's neighbours less what the questions' difficulty explains; difficulty is estimated from the other models. "
      : "Error rate among each question's neighbours. ",
    concentration(model, k),
    k === null ? " The local statistics of this model have not been computed." : "",
  );
}

// The range of one model's values: a good model's map would be pale on the scale of all models.
export function ownRange(values) {
  const sorted = [...values].filter((value) => value !== NO_RATE).sort((a, b) => a - b);
  const low = sorted[Math.floor(sorted.length * 0.01)] ?? 0;
  return [low, Math.max(sorted[Math.floor(sorted.length * 0.99)] ?? 250, low + 1)];
}

function setColouring(confidence) {
  const [low, high] = once(confidence, "bounds", () => ownRange(confidence.around));
  return {
    values: confidence.around,
    hot: confidence.hot,
    colours: RATE_COLOURS,
    stops: SEQUENTIAL,
    low,
    high,
    words: [`sets of ${percent(low / 250)}`, `${percent(high / 250)} of the options`],
    of: "set size as a share of the options",
    names: ["large sets", "small sets"],
    hotWords: "whose neighbours have larger sets than randomly chosen questions",
    coldWords: "whose neighbours have smaller ones",
    test: `Getis-Ord Gi of each question's ${confidence.k} neighbours (z-score under conditional permutation, exact moments)`,
    said: (value) => `sets of ${percent(value / 250)} of the options among its neighbours`,
  };
}

function beyondColouring(scale, k) {
  return {
    values: scale.excess,
    hot: scale.beyond,
    colours: EXCESS_COLOURS,
    stops: DIVERGING,
    low: 62,
    high: 188,
    words: ["25 points fewer", "25 points more"],
    of: "errors beyond difficulty",
    names: ["hot", "cold"],
    hotWords: "whose neighbours have more errors than difficulty explains",
    coldWords: "whose neighbours have fewer",
    test: `Exact Poisson-binomial test of each question's ${k} neighbours`,
    said: (value) =>
      `${points(value / 250 - 0.5, 0)} percentage points of error rate beyond difficulty among its neighbours`,
  };
}

function rateColouring(scale, k) {
  const [low, high] = once(scale, "bounds", () => ownRange(scale.rate));
  return {
    values: scale.rate,
    hot: scale.hot,
    colours: RATE_COLOURS,
    stops: SEQUENTIAL,
    low,
    high,
    words: [low, high].map((value) => percent(value / 250)),
    of: "error rate",
    names: ["hot", "cold"],
    hotWords: "whose neighbours have more errors than randomly chosen questions",
    coldWords: "whose neighbours have fewer",
    test: `Exact hypergeometric test of each question's ${k} neighbours`,
    said: (value) => `${percent(value / 250)} errors among its neighbours`,
  };
}

// What the dots show: values with their colours and words; null if nothing is known.
export function errorColouring() {
  const model = chosenModel();
  if (shownOnMap() === "sets") return setColouring(confidenceOf(model));
  const k = chosenScale(model);
  if (k === null) return null;
  return showsBeyond() ? beyondColouring(scaleOf(model, k), k) : rateColouring(scaleOf(model, k), k);
}
