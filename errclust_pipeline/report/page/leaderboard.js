// The leaderboard of a benchmark: each model's accuracy, how its errors cluster on the map, and how
// confident it is.

import { confidenceIsKnown, confidenceOf, data, everyPoint, models, rateIn } from "./data.js";
import {
  $,
  bdi,
  columnNotes,
  dim,
  dimSmall,
  el,
  fill,
  interval,
  numberCell,
  rankCell,
  rowsLink,
  table,
} from "./elements.js";
import { chosenModel } from "./selection.js";
import { count, percent } from "./words.js";

const targetCoverage = () => 1 - models.map(confidenceOf).find(Boolean).summary.alpha;

function leaderboardNotes() {
  return [
    "Accuracy on distinct questions (near-duplicates count once). ",
    data.artefactsLeftOut
      ? "Responses from which no answer could be extracted are left out of the map's statistics. "
      : "",
    confidenceIsKnown ? "" : `How confident the models are is not known. ${models[0].uncertainty.absent}`,
    columnNotes([
      [
        "95 % interval",
        "Confidence interval of the accuracy, cluster-robust over map regions: similar questions tend to be answered alike, so they do not count as independent.",
      ],
      [
        "Unreadable",
        "Share of responses from which no answer could be extracted, for example refusals and truncated texts.",
      ],
      [
        "Clustering",
        "Moran's I of the errors at the largest neighbourhood, with its z-score (exact permutation moments). Above about z = 2, errors lie together on the map: they depend on the topic.",
      ],
      confidenceIsKnown && ["Confidence", "Mean probability that the model gives to the option it chooses."],
      confidenceIsKnown && [
        "Set size",
        `Mean number of options in a conformal prediction set, which is built to contain the correct option with probability ${percent(targetCoverage())} (mean of the LAC and APS scores, as in LLM-Uncertainty-Bench).`,
      ],
      confidenceIsKnown && ["Coverage", "Share of these sets that do contain the correct option."],
      confidenceIsKnown && [
        "UAcc",
        "Uncertainty-aware accuracy: accuracy × √(number of options) / set size, in percent; it may exceed 100.",
      ],
    ]),
  ];
}

function clustering(model) {
  const known = model.autocorrelation.filter(
    (row) => row.mark === "errors" && row.moran !== null && row.z !== null,
  );
  const widest = known.reduce((best, row) => (!best || row.k > best.k ? row : best), null);
  return widest ? `${widest.moran.toFixed(3)} (z ${widest.z.toFixed(0)})` : "–";
}

function confidenceCells(model) {
  if (!confidenceIsKnown) return null;
  return [
    numberCell(percent(model.confidence, 1)),
    numberCell(
      model.setSize === null
        ? "–"
        : rowsLink(
            model.setSize.toFixed(2),
            { model: model.model, rows: "unsure", region: "", hot: "" },
            `List the questions of ${model.model}, least confident first`,
          ),
    ),
    numberCell(percent(model.coverage, 1)),
    numberCell(model.uacc === null ? "–" : (100 * model.uacc).toFixed(1)),
  ];
}

export function drawLeaderboard() {
  fill($("leaderboard-note"), leaderboardNotes());
  const low = (model) => model.low ?? model.accuracy;
  const high = (model) => model.high ?? model.accuracy;
  const least = Math.max(0, Math.min(...models.map(low)) - 0.02);
  const most = Math.min(1, Math.max(...models.map(high)) + 0.02);
  const rows = models.map((model, place) => {
    const { wrong, asked } = rateIn(model, everyPoint);
    return el(
      "tr",
      { "data-model": model.model, class: model === chosenModel() ? "chosen" : "" },
      rankCell(place + 1),
      el(
        "th",
        { scope: "row" },
        el("a", { href: { model: model.model, rows: "", hot: "" } }, bdi(model.model)),
      ),
      el("td", { class: "number strong" }, percent(model.accuracy, 1)),
      el(
        "td",
        { class: "nowrap whole" },
        interval(low(model), model.accuracy, high(model), least, most),
        dimSmall(` ${percent(model.low, 1)} to ${percent(model.high, 1)}`),
      ),
      numberCell(
        rowsLink(
          count(wrong),
          { model: model.model, rows: "errors", region: "", hot: "" },
          `List the ${count(wrong)} errors of ${model.model}`,
        ),
        dim(` of ${count(asked)}`),
      ),
      numberCell(percent(model.artefacts, 1)),
      el("td", { class: "number nowrap" }, clustering(model)),
      confidenceCells(model),
    );
  });
  fill(
    $("leaderboard-table"),
    table(
      "Leaderboard",
      [
        "Rank",
        "Model",
        "Accuracy",
        "95 % interval",
        "Errors",
        "Unreadable",
        "Clustering",
        ...(confidenceIsKnown ? ["Confidence", "Set size", "Coverage", "UAcc"] : []),
      ],
      rows,
    ),
  );
}
