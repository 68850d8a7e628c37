// Two models of a battle set compared: by their ratings, by their battles with each other, and topic
// by topic.

import {
  expectedScore,
  everywhere,
  isChosenPlace,
  isClear,
  judgeChoice,
  judgeKind,
  judgesInWords,
  levelName,
  nameOfPlace,
  placeOf,
  ratingOf,
  tallyOf,
} from "./battles.js";
import { compareControls, listedPair, modelWithLetter } from "./compare.js";
import { asRow, column, data, everyPoint, models, once } from "./data.js";
import {
  $,
  columnNotes,
  dim,
  el,
  fill,
  interval,
  numberCell,
  rangeCell,
  rowsLink,
  table,
} from "./elements.js";
import { chosenModel, otherModel } from "./selection.js";
import { go, state } from "./state.js";
import { count, pValue, percent, plural, signed } from "./words.js";

const turnedRow = (row) => ({
  ...row,
  win_rate: 1 - row.win_rate,
  low: 1 - row.high,
  high: 1 - row.low,
  expected: 1 - row.expected,
});

// The comparison of A and B by their own battles, from A's view; null if it is not listed.
function ownComparison(a, b) {
  const pair = listedPair(data.pairs[judgeKind()] ?? [], a, b);
  if (!pair) return null;
  const rows = pair.regions.map((values) => asRow(data.pairColumns, values));
  return pair.modelA === models.indexOf(a)
    ? { ...pair, rows }
    : { ...pair, rows: rows.map(turnedRow), difference: -pair.difference, low: -pair.high, high: -pair.low };
}

// Half the width of the 95 % interval of two models' difference in rating; NaN if not comparable.
function halfInterval(a, b) {
  const kind = judgeKind();
  const halves = once(data.differenceErrors, kind, () => column(data.differenceErrors[kind], Float32Array));
  return halves[models.indexOf(a) * models.length + models.indexOf(b)];
}

// ------------------------------------------------------------------------------------ verdict

function ratingVerdict(a, b) {
  const half = halfInterval(a, b);
  const gap = ratingOf(a) && ratingOf(b) ? ratingOf(a).rating - ratingOf(b).rating : NaN;
  const [nameA, nameB] = [modelWithLetter(a, "A"), modelWithLetter(b, "B")];
  if (Number.isNaN(half) || Number.isNaN(gap)) {
    return el(
      "li",
      {},
      ...nameA,
      " and ",
      ...nameB,
      " cannot be compared: no chain of battles connects them.",
    );
  }
  const clear = Math.abs(gap) > half;
  return el(
    "li",
    {},
    ...nameA,
    clear ? (gap > 0 ? " is rated higher than " : " is rated lower than ") : " and ",
    ...nameB,
    clear ? "" : " do not differ significantly in their ratings",
    `: A's rating minus B's is ${signed(gap)} points, from all battles judged by ${judgesInWords(judgeKind())}; 95 % interval ${signed(gap - half)} to ${signed(gap + half)} (clustered by prompt). The ratings predict that A wins ${percent(expectedScore(gap, 0))} of battles with B.`,
  );
}

function battleVerdict(a, b, sums, listed) {
  if (!sums.battles)
    return el("li", {}, "They never met: what is known comes from their battles with other models.");
  const link = (words, rows) => rowsLink(words, { model: a.model, with: b.model, ...everywhere, rows });
  return el(
    "li",
    {},
    "In battles with each other A won ",
    link(count(sums.won), "vs_won"),
    ", tied ",
    link(count(sums.tied), "vs_tied"),
    " and lost ",
    link(count(sums.lost), "vs_lost"),
    " of ",
    link(plural(sums.battles, "battle"), "vs_battles"),
    ` (${percent(sums.score / sums.battles)}). `,
    listed
      ? `From these alone, A's rating minus B's is ${signed(listed.difference)} points, 95 % interval ${signed(listed.low)} to ${signed(listed.high)}${listed.bounded ? "" : "; it rests on a prior, because one of them won all"}.`
      : "",
  );
}

function topicsVerdict(sums, listed) {
  if (!listed) {
    return el(
      "li",
      { class: "dim" },
      `Topics are tested here for the pairs that met on the most prompts (at least ${data.fewestPrompts}). `,
      sums.battles
        ? [el("code", {}, `errclust battles ${data.benchmark} --model … --against …`), " tests any pair."]
        : "",
    );
  }
  const clear = listed.rows.filter(isClear).length;
  return el(
    "li",
    {},
    `In ${clear ? count(clear) : "none"} of ${plural(listed.rows.length, "topic")} A does significantly better or worse against B than elsewhere (z-scores under permutation of prompts, Student's t; false discovery rate ${percent(data.fdr)} over the topics of a level).`,
  );
}

// -------------------------------------------------------------------------------------- table

function topicVerdictNode(row) {
  if (!isClear(row)) return dim("no significant difference");
  const verdict = row.win_rate > row.expected ? "better" : "worse";
  return el("span", { class: `mark ${verdict}` }, `A does ${verdict} than overall`);
}

function drawTopicTable(a, b, rows) {
  const levels = [...new Set(rows.map((row) => row.level))];
  const level = [Number(state.level), 1, levels[0]].find((each) => levels.includes(each));
  const shown = rows
    .filter((row) => row.level === level)
    .sort((first, second) => first.q - second.q || second.battles - first.battles);
  fill(
    $("compare-table"),
    shown.length
      ? table(
          "Battles of two models by topic",
          ["Topic", "A won (95 %)", "0 to 100 %", "Overall", "q", "Verdict", "Battles"],
          shown.slice(0, 40).map((row) => {
            const place = placeOf(row.level, row.region_id);
            return el(
              "tr",
              { class: isChosenPlace(row.level, row.region_id) ? "chosen" : "" },
              el(
                "th",
                { scope: "row" },
                el(
                  "a",
                  { href: { ...place, rows: "", show: "against", with: b.model }, "data-to": "map" },
                  ...nameOfPlace(row.level, row.region_id),
                ),
              ),
              rangeCell(row.win_rate, row.low, row.high),
              el("td", { class: "nowrap" }, interval(row.low, row.win_rate, row.high, 0, 1, row.expected)),
              numberCell(percent(row.expected)),
              numberCell(pValue(row.q)),
              el("td", { class: "whole" }, topicVerdictNode(row)),
              numberCell(
                rowsLink(
                  count(row.battles),
                  { model: a.model, with: b.model, ...place, rows: "vs_battles" },
                  `List their ${count(row.battles)} battles there`,
                ),
              ),
            );
          }),
        )
      : "",
  );
  fill(
    $("compare-note"),
    levels
      .filter((each) => each !== level)
      .map((each) =>
        el(
          "button",
          { type: "button", onclick: () => go({ level: String(each) }) },
          `Show ${levelName(each)}`,
        ),
      ),
    shown.length
      ? columnNotes([
          [
            "A won (95 %)",
            "Share of their battles that A won, a tie counting half, with its interval; the dashed line in the picture is their overall share.",
          ],
          ["q", "False discovery rate over the topics of a level at which the result is significant."],
        ])
      : null,
  );
}

export function drawBattleCompare() {
  if (models.length < 2) {
    fill($("compare-verdict"), el("p", { class: "dim" }, "This report has only one model."));
    return;
  }
  const [a, b] = [chosenModel(), otherModel()];
  const sums = tallyOf(a, everyPoint, b);
  const listed = ownComparison(a, b);
  fill($("compare-controls"), judgeChoice(), compareControls(a, b));
  fill(
    $("compare-verdict"),
    el(
      "ul",
      { class: "verdict" },
      ratingVerdict(a, b),
      battleVerdict(a, b, sums, listed),
      topicsVerdict(sums, listed),
    ),
  );
  drawTopicTable(a, b, listed ? listed.rows : []);
}
