// Two models of a benchmark compared: overall, and region by region.

import { asRow, data, models } from "./data.js";
import {
  $,
  bdi,
  columnNotes,
  dim,
  dimSmall,
  el,
  fill,
  interval,
  labelled,
  numberCell,
  rowsLink,
  table,
} from "./elements.js";
import { chosenModel, modelSelect, otherModel, regionName } from "./selection.js";
import { go, state } from "./state.js";
import { count, pInWords, percent, plural, points, signed } from "./words.js";

export const compareControls = (a, b) => [
  labelled(
    "A",
    modelSelect(a, "Model A", (name) =>
      go({ model: name, with: name === b.model ? a.model : b.model, rows: "" }),
    ),
  ),
  el(
    "button",
    {
      type: "button",
      onclick: () => go({ model: b.model, with: a.model, rows: "" }),
      "aria-label": "Swap A and B",
    },
    "⇄",
  ),
  labelled(
    "B",
    modelSelect(b, "Model B", (name) =>
      go({ model: name === a.model ? b.model : a.model, with: name, rows: "" }),
    ),
  ),
];

export const modelWithLetter = (model, letter) => [el("strong", {}, bdi(model.model)), ` (${letter})`];

// A pair as listed, whichever of the two comes first there.
export function listedPair(pairs, a, b) {
  const [first, second] = [models.indexOf(a), models.indexOf(b)];
  return (
    pairs.find(
      (pair) =>
        (pair.modelA === first && pair.modelB === second) ||
        (pair.modelA === second && pair.modelB === first),
    ) ?? null
  );
}

const swapped = (row) => ({
  ...row,
  errors_a: row.errors_b,
  errors_b: row.errors_a,
  only_a_wrong: row.only_b_wrong,
  only_b_wrong: row.only_a_wrong,
  difference: -row.difference,
  low: -row.high,
  high: -row.low,
});

// The comparison of A and B, with signs and sides from A's view; null if the pair was not compared.
function comparisonOf(a, b) {
  const pair = listedPair(data.pairs, a, b);
  if (!pair) return null;
  const turned = pair.modelA !== models.indexOf(a);
  const rows = pair.regions.map((values) => asRow(data.comparisonColumns, values));
  return {
    ...pair,
    rows: turned ? rows.map(swapped) : rows,
    difference: turned ? -pair.difference : pair.difference,
    low: turned ? -pair.differenceHigh : pair.differenceLow,
    high: turned ? -pair.differenceLow : pair.differenceHigh,
  };
}

// ------------------------------------------------------------------------------------ verdict

function overallVerdict(a, b, pair) {
  const clear = pair.low > 0 || pair.high < 0;
  const rows = { model: a.model, with: b.model, region: "", hot: "" };
  return el(
    "li",
    {},
    ...modelWithLetter(a, "A"),
    clear
      ? pair.difference > 0
        ? " has a higher error rate than "
        : " has a lower error rate than "
      : " and ",
    ...modelWithLetter(b, "B"),
    clear ? "" : " do not differ significantly overall",
    `: A's error rate minus B's is ${points(pair.difference)} percentage points, 95 % interval ${points(pair.low)} to ${points(pair.high)} (cluster-robust over map regions), on `,
    `${plural(pair.questions, "question")} that both answered. Wrong: `,
    rowsLink("only A", { ...rows, rows: "only_a" }),
    ", ",
    rowsLink("only B", { ...rows, rows: "only_b" }),
    ", ",
    rowsLink("both", { ...rows, rows: "both" }),
    ".",
  );
}

function topicVerdict(pair) {
  const test = `permutation test over coarse regions, ${pInWords("p", pair.gateP)}`;
  const gaps = pair.rows.filter((row) => row.q_gap !== null && row.q_gap < data.fdr).length;
  return el(
    "li",
    {},
    pair.gateP < data.fdr
      ? `The difference depends on the topic (${test}): in ${plural(gaps, "region")} it departs from the overall difference.`
      : `There is no evidence that the difference depends on the topic (${test}), so the regions are not tested for a departure from the overall difference.`,
  );
}

function regionVerdict(pair) {
  const worse = pair.rows.filter((row) => row.q_worse !== null && row.q_worse < data.fdr);
  const aWorse = worse.filter((row) => row.difference > 0).length;
  return el(
    "li",
    {},
    worse.length
      ? `A is significantly worse in ${plural(aWorse, "region")} and B in ${count(worse.length - aWorse)}, regions of all levels counted (exact McNemar tests; false discovery rate ${percent(data.fdr)}, controlled down the hierarchy of regions).`
      : "In no region is one model significantly worse than the other (exact McNemar tests).",
  );
}

function agreementVerdict(pair) {
  if (pair.kappa === null) return el("li", {}, "Whether they err on the same questions is not known.");
  const often =
    pair.kappa > 0.02 ? "more often than" : pair.kappa < -0.02 ? "less often than" : "about as often as";
  return el(
    "li",
    {},
    `They err on the same questions ${often} two models with these accuracies and independent errors would: error consistency (Cohen's kappa of being right or wrong) ${signed(pair.kappa, 2)}, where 0 means independent errors and 1 identical ones.`,
    pair.sameWrongOption !== null
      ? ` Where both chose a wrong option, they chose the same one ${percent(pair.sameWrongOption)} of the time; if wrong options were chosen evenly, it would be ${percent(pair.sameByChance)}.`
      : "",
  );
}

// -------------------------------------------------------------------------------------- table

function regionRowVerdict(row, pair) {
  const [side, mark] = row.difference > 0 ? ["A", "worse"] : ["B", "better"];
  const said =
    row.q_worse === null
      ? [dim("not tested: its parent region is not significant")]
      : row.q_worse < data.fdr
        ? [
            el("span", { class: `mark ${mark}` }, `${side} is worse`),
            dimSmall(` ${pInWords("q", row.q_worse)}`),
          ]
        : [dim(`no significant difference, ${pInWords("q", row.q_worse)}`)];
  if (row.q_gap === null || row.q_gap >= data.fdr) return said;
  return [
    ...said,
    el("br"),
    el(
      "span",
      { class: "mark gap" },
      `worse for ${row.difference > pair.difference ? "A" : "B"} than overall`,
    ),
    dimSmall(` ${pInWords("q", row.q_gap)}`),
  ];
}

function comparisonRow(row, a, b, pair, most) {
  const rows = { model: a.model, with: b.model, region: row.region_id, hot: "" };
  return el(
    "tr",
    { class: row.region_id === state.region ? "chosen" : "" },
    el(
      "th",
      { scope: "row" },
      el(
        "a",
        { href: { region: row.region_id, rows: "", hot: "" }, "data-to": "map" },
        ...regionName(row.region_id),
      ),
    ),
    numberCell(count(row.questions)),
    numberCell(percent(row.errors_a / row.questions)),
    numberCell(percent(row.errors_b / row.questions)),
    el(
      "td",
      { class: "nowrap whole" },
      interval(row.low, row.difference, row.high, -most, most, pair.difference),
      el(
        "span",
        { class: "small" },
        ` ${points(row.difference, 0)} `,
        dim(`(${points(row.low, 0)} to ${points(row.high, 0)})`),
      ),
    ),
    numberCell(
      rowsLink(
        count(row.only_a_wrong),
        { ...rows, rows: "only_a" },
        `List the ${row.only_a_wrong} questions that only A gets wrong`,
      ),
    ),
    numberCell(
      rowsLink(
        count(row.only_b_wrong),
        { ...rows, rows: "only_b" },
        `List the ${row.only_b_wrong} questions that only B gets wrong`,
      ),
    ),
    el("td", { class: "whole" }, regionRowVerdict(row, pair)),
  );
}

function drawComparisonTable(a, b, pair) {
  const large = pair.rows.filter((row) => row.questions >= 20);
  const most = Math.max(0.05, ...large.map((row) => Math.max(Math.abs(row.low), Math.abs(row.high))));
  const shown = state.level === "1" ? pair.rows.filter((row) => !row.region_id.includes(".")) : pair.rows;
  fill(
    $("compare-table"),
    table(
      "Comparison by region",
      [
        "Region",
        "Questions",
        "A wrong",
        "B wrong",
        "A − B, points (95 %)",
        "Only A wrong",
        "Only B wrong",
        "Verdict",
      ],
      shown.map((row) => comparisonRow(row, a, b, pair, most)),
    ),
  );
  fill(
    $("compare-note"),
    "Regions that depart most significantly from the overall difference come first. ",
    state.level === "1" && data.signatures.length > 1
      ? el("button", { type: "button", onclick: () => go({ level: "2" }) }, "Show the parts of regions too")
      : null,
    state.level !== "1"
      ? el("button", { type: "button", onclick: () => go({ level: "1" }) }, "Show coarse regions only")
      : null,
    columnNotes([
      [
        "A − B, points (95 %)",
        "A's error rate minus B's in percentage points, with Newcombe's interval for paired shares. The dashed line is the overall difference; to the right of it, A does worse here than overall.",
      ],
      [
        "A is worse / B is worse",
        "Exact McNemar test on the questions that only one of the two gets wrong. A region is tested only if its parent region is significant.",
      ],
      [
        "worse for A than overall",
        "The difference here departs from the overall one (exact test; made only if the difference depends on the topic).",
      ],
      ["q", "False discovery rate at which the result is significant."],
    ]),
  );
}

export function drawCompare() {
  if (models.length < 2) {
    fill($("compare-controls"));
    fill($("compare-verdict"), el("p", { class: "dim" }, "This report has only one model."));
    return;
  }
  const [a, b] = [chosenModel(), otherModel()];
  fill($("compare-controls"), compareControls(a, b));
  const pair = comparisonOf(a, b);
  if (!pair) {
    fill(
      $("compare-verdict"),
      el(
        "p",
        {},
        "This pair was not compared: only the pairs closest in accuracy are (setting statistics.most_pairs). ",
        el("code", {}, `errclust compare ${data.benchmark} ${a.model} ${b.model}`),
        " compares any two.",
      ),
    );
    fill($("compare-table"));
    fill($("compare-note"));
    return;
  }
  fill(
    $("compare-verdict"),
    el(
      "ul",
      { class: "verdict" },
      overallVerdict(a, b, pair),
      topicVerdict(pair),
      regionVerdict(pair),
      agreementVerdict(pair),
    ),
  );
  drawComparisonTable(a, b, pair);
}
