// How confident a model is, and how well that is calibrated: the section's head, its calibration
// curve, and sentences about prediction sets that other sections use.

import { confidenceOf } from "./data.js";
import { $, bdi, el, fill, numberCell, rowsLink, scrolling, svg, table } from "./elements.js";
import { confidenceRegions } from "./confidence_regions.js";
import { chosenModel } from "./selection.js";
import { count, pInWords, percent, plural } from "./words.js";

// Whether the sizes of prediction sets cluster on the map.
export function setSizesInWords(confidence) {
  const {
    moran,
    moranZ,
    moranP,
    adjustedMoran,
    adjustedMoranZ,
    adjustedMoranP,
    fewestOptions,
    mostOptions,
    k,
  } = confidence.summary;
  if (moran === null || moranZ === null) return "Whether set sizes depend on the topic is not known.";
  const varied = fewestOptions !== mostOptions && adjustedMoran !== null && adjustedMoranZ !== null;
  const [z, p] = varied ? [adjustedMoranZ, adjustedMoranP] : [moranZ, moranP];
  const byPermutation = `${pInWords("p", p)} by permutation`;
  return (
    `${z >= 2 ? "Set sizes depend on the topic" : "There is no clear evidence that set sizes depend on the topic"}: Moran's I is ${moran.toFixed(3)} at ${k} neighbours (z = ${moranZ.toFixed(1)}` +
    (varied
      ? `), and ${adjustedMoran.toFixed(3)} (z = ${z.toFixed(1)}, ${byPermutation}) when each set is compared only with those of questions with the same number of options (${fewestOptions} to ${mostOptions} here).`
      : `, ${byPermutation}).`)
  );
}

// How confident a model is among some points.
export function confidenceThere(model, here, place) {
  const confidence = confidenceOf(model);
  const known = here.filter((point) => confidence.corner[point] >= 0);
  if (!known.length) return null;
  const wrong = known.filter((point) => confidence.corner[point] === confidence.confidentlyWrong).length;
  const size = known.reduce((sum, point) => sum + confidence.size[point], 0) / known.length / 10;
  return el(
    "p",
    { class: "small" },
    "Confidently wrong: ",
    rowsLink(
      count(wrong),
      { ...place, rows: "confident_wrong" },
      `List the confident mistakes of ${model.model} here`,
    ),
    ` of ${count(known.length)} (${percent(wrong / known.length)}). Prediction sets contain `,
    rowsLink(
      size.toFixed(2),
      { ...place, rows: "unsure" },
      `List the questions here, those on which ${model.model} is least confident first`,
    ),
    ` options on average; over all questions ${confidence.summary.setSize.toFixed(2)}.`,
  );
}

function calibrationPicture(curve) {
  const side = 210;
  const at = (value) => 24 + (side - 34) * value;
  const up = (value) => side - at(value);
  const most = Math.max(...curve.map((bin) => bin.questions));
  const picture = svg("svg", {
    viewBox: `0 0 ${side} ${side}`,
    width: side,
    height: side,
    "aria-hidden": "true",
  });
  picture.append(
    svg("line", { x1: at(0), y1: up(0), x2: at(1), y2: up(1), stroke: "#8a96a5", "stroke-dasharray": "3 3" }),
    svg("path", { d: `M${at(0)},${up(1)}V${up(0)}H${at(1)}`, fill: "none", stroke: "#c3ccd6" }),
    svg("polyline", {
      points: curve.map((bin) => `${at(bin.confidence)},${up(bin.accuracy)}`).join(" "),
      fill: "none",
      stroke: "#c85f14",
      "stroke-width": 1.5,
    }),
    ...curve.map((bin) =>
      svg("circle", {
        cx: at(bin.confidence),
        cy: up(bin.accuracy),
        r: 2 + 6 * Math.sqrt(bin.questions / most),
        fill: "#c85f14",
        "fill-opacity": 0.75,
      }),
    ),
    svg("text", { x: side / 2, y: side - 6, "text-anchor": "middle", class: "axis" }, "confidence"),
    svg(
      "text",
      { x: 12, y: side / 2, "text-anchor": "middle", class: "axis", transform: `rotate(-90 12 ${side / 2})` },
      "accuracy",
    ),
  );
  return picture;
}

function calibrationTable(curve) {
  return el(
    "details",
    {},
    el("summary", {}, "The curve in numbers"),
    scrolling(
      table(
        "Calibration curve",
        ["Confidence from … to", "Mean confidence", "Accuracy", "Questions"],
        curve.map((bin) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, `${bin.low.toFixed(1)} to ${bin.high.toFixed(1)}`),
            numberCell(percent(bin.confidence)),
            numberCell(percent(bin.accuracy)),
            numberCell(count(bin.questions)),
          ),
        ),
      ),
    ),
  );
}

function calibrationInWords(summary) {
  const gap = summary.confidence - summary.accuracy;
  const above = summary.calibrationError > summary.calibrationErrorByChance;
  return el(
    "li",
    {},
    `Its accuracy is ${percent(summary.accuracy, 1)} and its mean confidence ${percent(summary.confidence, 1)}: it is `,
    el(
      "strong",
      {},
      `${(100 * Math.abs(gap)).toFixed(1)} percentage points ${gap > 0 ? "overconfident" : "underconfident"}`,
    ),
    `. Its expected calibration error is ${summary.calibrationError.toFixed(3)}, ${above ? "above" : "not above"} the ${summary.calibrationErrorByChance.toFixed(3)} that a perfectly calibrated model would stay below in 95 % of samples`,
    summary.comparedByLength
      ? `; on ${plural(summary.comparedByLength, "question")} options are compared by log-likelihood per character, which flattens probabilities, so that this says little.`
      : ".",
  );
}

function setsInWords(summary) {
  const { fewestOptions, mostOptions } = summary;
  const options = fewestOptions === mostOptions ? mostOptions : `${fewestOptions} to ${mostOptions}`;
  return el(
    "li",
    {},
    `Conformal prediction sets that may miss the correct option in ${percent(summary.alpha)} of questions contain `,
    rowsLink(
      summary.setSize.toFixed(2),
      { rows: "unsure", region: "", hot: "" },
      "List all questions, least confident first",
    ),
    ` of ${options} options on average, and the correct one in ${percent(summary.coverage, 1)} of ${plural(summary.questions, "question")}${summary.leftOut ? ` (${count(summary.leftOut)} left out)` : ""}. Uncertainty-aware accuracy (UAcc: accuracy × √options / set size): ${summary.uacc === null ? "–" : (100 * summary.uacc).toFixed(1)}.`,
  );
}

export function drawConfidence() {
  const model = chosenModel();
  const confidence = confidenceOf(model);
  fill($("confidence-title"), "How confident ", bdi(model.model), " is, and where wrongly so");
  if (!confidence) {
    fill($("confidence-body"), el("p", {}, `How confident it is is not known. ${model.uncertainty.absent}`));
    return;
  }
  fill(
    $("confidence-body"),
    el(
      "div",
      { class: "curve-and-words" },
      calibrationPicture(confidence.curve),
      el(
        "ul",
        { class: "verdict" },
        calibrationInWords(confidence.summary),
        setsInWords(confidence.summary),
        el(
          "li",
          {},
          setSizesInWords(confidence),
          " ",
          el("a", { href: { show: "sets" }, "data-to": "map" }, "Show them on the map"),
          ".",
        ),
        el(
          "li",
          {},
          "The curve shows accuracy against confidence in ten bins; larger dots stand for more questions. A calibrated model follows the dashed line.",
        ),
      ),
    ),
    calibrationTable(confidence.curve),
    confidenceRegions(confidence),
  );
}
