// Which questions the dialog of a benchmark lists, with their title and what is claimed of them:
// errors, confident mistakes, questions by confidence, disagreements of two models, a cluster.

import { fitInWords, membersOf } from "./clusters.js";
import { confidenceOf, errorsOf, isRegion, models, pointsIn, rateIn } from "./data.js";
import { bdi } from "./elements.js";
import { hotRegionClaim, hotRegionName } from "./hot_regions.js";
import { chosenModel, chosenPoints, otherModel, regionName } from "./selection.js";
import { departureInWords, signatureOf, signaturesAreKnown } from "./signatures.js";
import { state } from "./state.js";
import { count, percent, plural } from "./words.js";

// A question as an item of a list: the row of the model's error, -1 if it is right.
export const errorRow = (model, point) => ({ model, row: errorsOf(model).ofPoint[point], point });

// The points that the rows are chosen from, how their place is called, and what is claimed of it.
function chosenPlace(model) {
  const chosen = state.hot ? chosenPoints() : null;
  const region = isRegion(state.region) ? state.region : "";
  return {
    points: chosen ? chosen.points : pointsIn(region),
    title: chosen?.hot
      ? [" in ", ...hotRegionName(chosen, model)]
      : region
        ? [" in ", ...regionName(region)]
        : [],
    claim: chosen?.hot && chosen.owner === model ? hotRegionClaim(chosen.hot) : "",
    isHot: Boolean(chosen?.hot),
  };
}

function errorRows(model, place) {
  const { wrong, asked, rate } = rateIn(model, place.points);
  const signature =
    !place.isHot && state.region && signaturesAreKnown() ? signatureOf(model, state.region) : null;
  return {
    title: ["Errors of ", bdi(model.model), ...place.title],
    claim: [
      `${count(wrong)} of ${plural(asked, "answered question")} are wrong (${percent(rate, 1)}). `,
      signature ? departureInWords(signature) : "",
      place.claim,
      " Near-duplicate questions count once.",
    ],
    items: place.points.filter((point) => model.stateOf[point] === 1).map((point) => errorRow(model, point)),
  };
}

function confidentMistakes(model, place, confidence) {
  const known = place.points.filter((point) => confidence.corner[point] >= 0);
  const mistakes = known
    .filter((point) => confidence.corner[point] === confidence.confidentlyWrong)
    .sort((a, b) => confidence.probability[b] - confidence.probability[a]);
  return {
    title: ["Where ", bdi(model.model), " is wrong with more than its median confidence", ...place.title],
    claim: [
      `${count(mistakes.length)} of ${plural(known.length, "question")} (${percent(mistakes.length / known.length, 1)}), most confident first. `,
      place.claim,
    ],
    items: mistakes.map((point) => ({
      ...errorRow(model, point),
      role: `confidence ${percent(confidence.probability[point] / 250)}`,
    })),
  };
}

function leastConfident(model, place, confidence) {
  const known = place.points
    .filter((point) => confidence.corner[point] >= 0)
    .sort((a, b) => confidence.size[b] - confidence.size[a]);
  return {
    title: ["Questions on which ", bdi(model.model), " is least confident", ...place.title],
    claim: [
      `${plural(known.length, "question")}, largest prediction sets first (mean of LAC and APS). `,
      place.claim,
    ],
    items: known.map((point) => ({
      ...errorRow(model, point),
      role: `set of ${(confidence.size[point] / 10).toFixed(1)}`,
    })),
  };
}

// Questions that only A, only B, or both get wrong.
function disagreements(a, b, place) {
  const [aWrong, bWrong] = { only_a: [1, 0], only_b: [0, 1], both: [1, 1] }[state.rows];
  const [mistaken, other] = aWrong ? [a, b] : [b, a];
  const items = place.points
    .filter((point) => a.stateOf[point] === aWrong && b.stateOf[point] === bWrong)
    .map((point) => ({ ...errorRow(mistaken, point), other: errorRow(other, point) }));
  const number = plural(items.length, "question");
  return state.rows === "both"
    ? {
        title: ["Questions both ", bdi(a.model), " and ", bdi(b.model), " get wrong", ...place.title],
        claim: [`${number}.`],
        items,
      }
    : {
        title: ["Questions only ", bdi(mistaken.model), " gets wrong", ...place.title],
        claim: [`${number} on which `, bdi(other.model), " is right."],
        items,
      };
}

function clusterRows(model, label) {
  return {
    title: ["Cluster ", label.clusterId, " of ", bdi(model.model), ": ", bdi(label.label)],
    claim: [`${plural(label.size, "error")}, ${percent(label.shareOfErrors, 1)} of all. `, fitInWords(label)],
    items: membersOf(model, label.clusterId).map((row) => ({ model, row })),
  };
}

// The rows that the address asks for; null if there are none of that kind.
export function selectedRows() {
  const model = chosenModel();
  const place = chosenPlace(model);
  if (state.rows === "errors") return errorRows(model, place);
  const confidence = confidenceOf(model);
  if (state.rows === "confident_wrong" && confidence) return confidentMistakes(model, place, confidence);
  if (state.rows === "unsure" && confidence) return leastConfident(model, place, confidence);
  if (["only_a", "only_b", "both"].includes(state.rows) && models.length > 1)
    return disagreements(model, otherModel(), place);
  const label =
    state.rows === "cluster" ? model.clusters.find((each) => each.clusterId === state.cluster) : null;
  return label ? clusterRows(model, label) : null;
}
