// The panel beside the map of a battle set, and the table of where a model does better or worse than
// its rating predicts.

import {
  battlesOf,
  byRating,
  cellOf,
  chosenLevel,
  chosenName,
  everywhere,
  expectationInWords,
  isChosenPlace,
  isClear,
  nameOfPlace,
  placeOf,
  tally,
  tallyOf,
  topicLevels,
} from "./battles.js";
import {
  asRow,
  data,
  everyPoint,
  models,
  nameOfRegion,
  partsOf,
  pointsIn,
  regionOf,
  regions,
  subjectOfPoint,
} from "./data.js";
import {
  $,
  bdi,
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
import { rowList } from "./rows.js";
import { chosenModel, chosenPoints, partsLine, regionHead, subjectNumber } from "./selection.js";
import { state } from "./state.js";
import { count, pInWords, pValue, percent, plural, points, signed } from "./words.js";

const winRate = ({ score, battles }) => score / (battles || 1);

function winBars(items) {
  return el(
    "ul",
    { class: "bars" },
    items
      .filter(({ sums }) => sums.battles)
      .map(({ name, isChosen, change, sums, label }) =>
        el(
          "li",
          { class: isChosen ? "chosen" : "" },
          el("a", { href: change, class: "bar-name", "data-region": change.region || null }, ...name),
          el(
            "span",
            { class: "bar-track" },
            el("span", { class: "bar-fill wins", style: { width: `${100 * winRate(sums)}%` } }),
          ),
          el("span", { class: "number" }, percent(winRate(sums))),
          rowsLink(count(sums.battles), { ...change, rows: "battles" }, label),
        ),
      ),
  );
}

function drawAllTopics(model) {
  const bars = (level, places) =>
    winBars(
      places
        .map(({ id, here }) => ({ id, sums: tallyOf(model, here) }))
        .sort((a, b) => winRate(b.sums) - winRate(a.sums))
        .map(({ id, sums }) => ({
          name: nameOfPlace(level, id),
          change: { ...placeOf(level, id), rows: "" },
          sums,
          label: `List the ${count(sums.battles)} battles of ${model.model} in ${level ? nameOfRegion(id) : id}`,
        })),
    );
  const coarse = regions.filter((region) => region.level === 1).map(({ id }) => ({ id, here: pointsIn(id) }));
  const subjects = data.questions.subjects.map((id, number) => ({
    id,
    here: everyPoint.filter((point) => subjectOfPoint[point] === number),
  }));
  fill(
    $("region"),
    el("h3", {}, "Where ", bdi(model.model), " wins most"),
    el(
      "p",
      { class: "dim small" },
      "Share of battles won. Choose a topic here or on the map. The last column is the number of battles; click it to see them.",
    ),
    bars(1, coarse),
    subjects.length ? [el("h4", {}, "Subjects named by the source"), bars(0, subjects)] : null,
  );
}

function winsHere(model, sums, cell) {
  if (!sums.battles) return el("p", {}, bdi(model.model), " has no battles here.");
  return el(
    "p",
    {},
    bdi(model.model),
    ` won ${count(sums.won)}, tied ${count(sums.tied)} and lost ${count(sums.lost)} of ${plural(sums.battles, "battle")}${cell ? ` on ${plural(cell.prompts, "prompt")}` : ""} here (`,
    el("strong", {}, percent(winRate(sums))),
    cell
      ? `, 95 % interval ${percent(cell.low)} to ${percent(cell.high)}, clustered by prompt). ${expectationInWords(cell)}`
      : ").",
  );
}

function testHere(test) {
  const how = `permutation of prompts, ${pInWords("q", test.q)}`;
  return el(
    "p",
    { class: "small" },
    isClear(test)
      ? `Over all models, who wins here differs significantly from elsewhere (${how}).`
      : `Over all models, there is no clear evidence that who wins here differs from elsewhere (${how}).`,
  );
}

export function drawBattleRegion() {
  const model = chosenModel();
  const chosen = chosenPoints();
  if (!chosen) {
    drawAllTopics(model);
    return;
  }
  const here = chosen.points;
  const all = tally(here);
  const sums = all[models.indexOf(model)];
  const region = subjectNumber() >= 0 ? null : regionOf(state.region);
  const known = cellOf(model, chosenLevel(), chosenName());
  fill(
    $("region"),
    el(
      "div",
      { class: "panel-head" },
      el("h3", {}, ...nameOfPlace(chosenLevel(), chosenName())),
      el("a", { href: { ...everywhere, rows: "" }, class: "close", "aria-label": "Show all prompts" }, "×"),
    ),
    regionHead(region),
    winsHere(model, sums, known?.cell),
    known ? testHere(known.test) : null,
    region ? partsLine(partsOf(region.id)) : null,
    winBars(
      byRating().map((each) => ({
        name: [bdi(each.model)],
        isChosen: each === model,
        change: { model: each.model, rows: "" },
        sums: all[models.indexOf(each)],
        label: `List the battles of ${each.model} here`,
      })),
    ),
    el("h4", {}, `Its battles here (${count(sums.battles)})`),
    rowList(
      battlesOf(model, here).map((battle) => ({ battle })),
      8,
    ),
  );
}

// ---------------------------------------------------------------------------------- the table

// A model's results in all topics, the most significant first.
function resultsByTopic(model) {
  return topicLevels()
    .flatMap(({ level, regions: ids, models: numbers, cells }) => {
      const at = numbers.indexOf(models.indexOf(model));
      return ids.map((id, row) => ({
        level,
        id,
        cell: cells[row][at] && asRow(data.cellColumns, cells[row][at]),
      }));
    })
    .filter(({ cell }) => cell)
    .sort((a, b) => a.cell.p - b.cell.p);
}

function topicResultRow({ level, id, cell }, most) {
  const place = placeOf(level, id);
  const excess = cell.win_rate - cell.expected;
  const verdict = excess > 0 ? "better" : "worse";
  return el(
    "tr",
    { class: isChosenPlace(level, id) ? "chosen" : "" },
    el(
      "th",
      { scope: "row" },
      el("a", { href: { ...place, rows: "" }, "data-to": "map" }, ...nameOfPlace(level, id)),
    ),
    numberCell(count(cell.prompts)),
    rangeCell(cell.win_rate, cell.low, cell.high),
    numberCell(percent(cell.expected)),
    el(
      "td",
      { class: "nowrap whole" },
      interval(cell.low - cell.expected, excess, cell.high - cell.expected, -most, most, 0),
      el("span", { class: "small" }, ` ${points(excess, 0)}`),
    ),
    numberCell(signed(cell.shift)),
    numberCell(pValue(cell.q)),
    el(
      "td",
      {},
      isClear(cell) ? el("span", { class: `mark ${verdict}` }, verdict) : dim("no significant difference"),
    ),
    numberCell(
      rowsLink(
        count(cell.battles),
        { ...place, rows: "battles" },
        `List the ${count(cell.battles)} battles there`,
      ),
    ),
  );
}

export function drawBattlePlaces() {
  const model = chosenModel();
  const results = resultsByTopic(model);
  const clear = results.filter(({ cell }) => isClear(cell)).length;
  const most = Math.max(
    0.1,
    ...results.map(({ cell }) => (cell.prompts > 2 ? Math.abs(cell.win_rate - cell.expected) : 0)),
  );
  fill($("hot-title"), "Where ", bdi(model.model), " does better or worse than its rating predicts");
  fill(
    $("hot-note"),
    results.length
      ? [
          `Significantly so in ${clear ? count(clear) : "none"} of ${plural(results.length, "topic")} (permutation of prompts among topics; false discovery rate ${percent(data.fdr)} over all models and topics of a level). Most significant first. This shows where it wins, not why.`,
          columnNotes([
            [
              "Won (95 %)",
              "Share of battles won, a tie counting half, with an interval clustered by prompt.",
            ],
            ["Expected", "Share of battles that ratings predict against the same opponents."],
            ["Beyond, points", "Won minus expected, in percentage points."],
            [
              "Shift",
              "The rating in the topic minus the overall one, in points of the rating; it is shrunk as far as predicts unseen prompts best.",
            ],
            ["q", "False discovery rate at which the result is significant."],
          ]),
        ]
      : "It has no battles in a topic that has a name.",
  );
  fill(
    $("hot-table"),
    results.length
      ? table(
          "Results of a model by topic",
          [
            "Topic",
            "Prompts",
            "Won (95 %)",
            "Expected",
            "Beyond, points",
            "Shift",
            "q",
            "Verdict",
            "Battles",
          ],
          results.slice(0, 25).map((result) => topicResultRow(result, most)),
        )
      : "",
  );
}
