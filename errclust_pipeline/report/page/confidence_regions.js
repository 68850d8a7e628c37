// Where a model is confidently wrong, where it is uncertain, and where its prediction sets do not
// contain the correct option as often as they should: tables of the confidence section.

import { data } from "./data.js";
import {
  bdi,
  columnNotes,
  dim,
  el,
  numberCell,
  rangeCell,
  rankCell,
  rowsLink,
  scrolling,
  table,
} from "./elements.js";
import { replicationInWords } from "./hot_regions.js";
import { regionName } from "./selection.js";
import { state } from "./state.js";
import { count, pInWords, pValue, percent, plural, points } from "./words.js";

const rate = () => percent(data.fdr);

// What is claimed of a region in which a model is confidently wrong or uncertain.
export function uncertainRegionClaim(hot) {
  const selected = "optimistic, because the region was selected for it";
  const range = (written) => `95 % interval ${written(hot.low)} to ${written(hot.high)}; ${selected}`;
  const first = {
    confidently_wrong: `It is confidently wrong on ${percent(hot.value)} of the questions here (${range(percent)}), elsewhere on ${percent(hot.outsideValue)}. `,
    uncertain: `Its prediction sets contain ${percent(hot.value)} of the options here (${range(percent)}), elsewhere ${percent(hot.outsideValue)}. `,
    uncertain_given_options: `Its prediction sets contain a share of the options that is ${points(hot.value)} percentage points larger than on other questions with as many options (${range(points)}). `,
  }[hot.basis];
  return (
    `${first}Its accuracy is ${percent(hot.accuracy)} and its confidence ${percent(hot.confidence)}. ${pInWords("q", hot.q)} for a typical question of the region. ` +
    (hot.basis === "confidently_wrong" ? replicationInWords(hot) : "")
  );
}

const COLUMNS = {
  confidence: ["Confidence", "Mean probability of the option that the model chooses."],
  size: ["Set size", "Mean number of options in a prediction set (mean of LAC and APS)."],
  q: ["q", "False discovery rate at which a typical question of the region is significant."],
};

// A table of hot regions of one kind; `cells` makes what follows a region's name.
function regionTable(caption, regions, heads, cells) {
  return scrolling(
    table(
      caption,
      ["Rank", "Questions about", "In region", ...heads],
      regions.map((hot) => {
        const key = `${hot.basis}-${hot.rank}`;
        const show = hot.basis === "confidently_wrong" ? state.show : "sets";
        return el(
          "tr",
          { class: state.hot === key && !state.owner ? "chosen" : "" },
          rankCell(hot.rank),
          el(
            "th",
            { scope: "row" },
            el(
              "a",
              { href: { hot: key, owner: "", region: "", rows: "", show }, "data-to": "map" },
              bdi(hot.keyPhrases.join(", ") || `region ${hot.rank}`),
            ),
          ),
          el("td", { class: "small whole in-region" }, hot.regionId ? regionName(hot.regionId) : "–"),
          cells(hot, { hot: key, owner: "", region: "" }),
        );
      }),
    ),
  );
}

const leastConfidentFirst = (hot, place) =>
  numberCell(
    rowsLink(
      count(hot.size),
      { ...place, rows: "unsure" },
      "List the questions there, least confident first",
    ),
  );

function confidentlyWrong(regions, summary) {
  const median = summary.confidentFrom.toFixed(2);
  const head = el("h3", {}, "Where it is confidently wrong more often than elsewhere");
  if (!regions.length) {
    return [
      head,
      el(
        "p",
        { class: "dim" },
        `None found: nowhere is it wrong with a confidence above its median of ${median} more often than elsewhere, at a false discovery rate of ${rate()}.`,
      ),
    ];
  }
  return [
    head,
    el(
      "p",
      { class: "dim" },
      `Confidently wrong means: wrong, with a confidence above the model's own median of ${median}. The regions are found and tested like hot regions (exact tests, false discovery rate ${rate()} over all questions and scales); most significant first.`,
    ),
    columnNotes([
      COLUMNS.confidence,
      COLUMNS.size,
      COLUMNS.q,
      [
        "Held out",
        "Excess share of confident mistakes, in percentage points, on questions that had no part in finding the place: each half of the questions tests what the other half finds.",
      ],
      [
        "Confirmed",
        "Number of halves of the questions in which the place that the other half finds has more confident mistakes than expected.",
      ],
    ]),
    regionTable(
      "Confidently wrong regions",
      regions,
      [
        "Confidently wrong (95 %)",
        "Elsewhere",
        "Accuracy",
        "Confidence",
        "Set size",
        "q",
        "Held out",
        "Confirmed",
        "Mistakes",
      ],
      (hot, place) => [
        rangeCell(hot.value, hot.low, hot.high),
        numberCell(percent(hot.outsideValue)),
        numberCell(percent(hot.accuracy)),
        numberCell(percent(hot.confidence)),
        numberCell(hot.setSize.toFixed(1)),
        numberCell(pValue(hot.q)),
        numberCell(hot.heldOutExcess === null ? "–" : points(hot.heldOutExcess, 0)),
        numberCell(hot.replicatedHalves === null ? "–" : `${hot.replicatedHalves} of 2`),
        numberCell(
          rowsLink(
            count(Math.round(hot.value * hot.size)),
            { ...place, rows: "confident_wrong" },
            "List the confident mistakes there",
          ),
          dim(` of ${count(hot.size)}`),
        ),
      ],
    ),
  ];
}

// The last cells of a region's row in both tables of uncertain regions.
const setCells = (hot, place) => [
  numberCell(hot.setSize.toFixed(1)),
  numberCell(percent(hot.accuracy)),
  numberCell(percent(hot.confidence)),
  numberCell(pValue(hot.q)),
  leastConfidentFirst(hot, place),
];

function uncertain(regions, optionsVary) {
  const head = el("h3", {}, "Where it is less certain than elsewhere");
  if (!regions.length) {
    return [
      head,
      el(
        "p",
        { class: "dim" },
        `None found: no place has larger prediction sets than others at a false discovery rate of ${rate()}.`,
      ),
    ];
  }
  return [
    head,
    el(
      "p",
      { class: "dim" },
      `By the size of its prediction sets as a share of the options (permutation moments, false discovery rate ${rate()}).${optionsVary ? " A set contains a larger share if there are few options, so a region found here may merely be one of questions with few options: see the next table." : ""}`,
    ),
    columnNotes([COLUMNS.size, COLUMNS.confidence, COLUMNS.q]),
    regionTable(
      "Uncertain regions",
      regions,
      ["Share of options (95 %)", "Elsewhere", "Set size", "Accuracy", "Confidence", "q", "Questions"],
      (hot, place) => [
        rangeCell(hot.value, hot.low, hot.high),
        numberCell(percent(hot.outsideValue)),
        ...setCells(hot, place),
      ],
    ),
  ];
}

function uncertainGivenOptions(regions) {
  const head = el("h3", {}, "The same, given the number of options");
  if (!regions.length) {
    return [
      head,
      el(
        "p",
        { class: "dim" },
        `None found: compared with questions that have as many options, no place has larger prediction sets at a false discovery rate of ${rate()}.`,
      ),
    ];
  }
  return [
    head,
    el(
      "p",
      { class: "dim" },
      "Where prediction sets are larger than on other questions with as many options: difference in their share of the options, in percentage points. Tested as above, on standardised sizes.",
    ),
    regionTable(
      "Uncertain regions, given the number of options",
      regions,
      ["Excess share, points (95 %)", "Set size", "Accuracy", "Confidence", "q", "Questions"],
      (hot, place) => [
        rangeCell(hot.value, hot.low, hot.high, points),
        ...setCells(hot, place),
      ],
    ),
  ];
}

function brokenRow(row) {
  return el(
    "tr",
    {},
    el(
      "th",
      { scope: "row" },
      el(
        "a",
        { href: { region: row.regionId, rows: "", hot: "" }, "data-to": "map" },
        ...regionName(row.regionId),
      ),
    ),
    rangeCell(row.coverage, row.low, row.high),
    numberCell(pValue(row.q)),
    numberCell(percent(row.accuracy)),
    numberCell(percent(row.confidence)),
    numberCell(row.setSize.toFixed(2)),
    numberCell(percent(row.mondrianCoverage)),
    numberCell(row.mondrianSetSize.toFixed(2)),
    numberCell(
      rowsLink(
        count(row.questions),
        { region: row.regionId, hot: "", rows: "unsure" },
        "List the questions there, least confident first",
      ),
    ),
  );
}

function undercovered(confidence) {
  const head = el(
    "h3",
    {},
    `Where its prediction sets contain the correct option less often than ${percent(1 - confidence.summary.alpha)}`,
  );
  const test = `exact beta-binomial test of LAC sets, textbook form; false discovery rate ${rate()} at each level of regions`;
  const tested = plural(confidence.regionsTested, "region");
  if (!confidence.broken.length) return [head, el("p", { class: "dim" }, `In none of ${tested} (${test}).`)];
  return [
    head,
    el(
      "p",
      { class: "dim" },
      `In ${count(confidence.broken.length)} of ${tested} (${test}). The coverage is guaranteed over all questions together, so one region can be below it while others are above.`,
    ),
    columnNotes([
      [
        "Own coverage, own set size",
        "Of sets calibrated on the questions of this region alone (Mondrian conformal prediction): what it takes to reach the coverage here.",
      ],
    ]),
    scrolling(
      table(
        "Regions with too low coverage",
        [
          "Region",
          "Coverage (95 %)",
          "q",
          "Accuracy",
          "Confidence",
          "Set size",
          "Own coverage",
          "Own set size",
          "Questions",
        ],
        confidence.broken.map(brokenRow),
      ),
    ),
  ];
}

export function confidenceRegions(confidence) {
  const { summary, places } = confidence;
  const of = (basis) => places.filter((place) => place.basis === basis);
  const optionsVary = summary.fewestOptions !== summary.mostOptions;
  return [
    ...confidentlyWrong(of("confidently_wrong"), summary),
    ...uncertain(of("uncertain"), optionsVary),
    ...(optionsVary ? uncertainGivenOptions(of("uncertain_given_options")) : []),
    ...undercovered(confidence),
  ];
}
