// Win rates of a battle set by topic: the heat map of models and topics, and the test of whether it
// matters what a prompt is about.

import { isClear, levelName, nameOfPlace, placeOf, topicLevels } from "./battles.js";
import { STEPS, WINS, WIN_COLOURS, onColour } from "./colours.js";
import { asRow, data, models, nameOfRegion } from "./data.js";
import {
  $,
  bdi,
  button,
  choice,
  columnNotes,
  dim,
  el,
  fill,
  gradient,
  numberCell,
  rowsLink,
  scrolling,
  table,
} from "./elements.js";
import { go, state } from "./state.js";
import { count, pInWords, pValue, percent, plural, points } from "./words.js";

const excessOf = (cell) => cell.win_rate - cell.expected;

function winCell(model, level, id, cell, asDeparture, widest) {
  if (!cell) return el("td", { class: "cell none" }, "–");
  const shade = asDeparture ? Math.min(Math.max(0.5 + (0.5 * excessOf(cell)) / widest, 0), 1) : cell.win_rate;
  const clear = asDeparture && isClear(cell);
  return el(
    "td",
    { class: "cell" },
    el(
      "a",
      {
        href: { model: model.model, ...placeOf(level, id), rows: "battles" },
        class: clear ? "clear" : "",
        style: { background: WIN_COLOURS[Math.round(shade * STEPS)], color: onColour(shade) },
        title: `${model.model}, ${level ? nameOfRegion(id) : id}: ${percent(cell.win_rate)} of ${plural(cell.battles, "battle")} won (${percent(cell.low)} to ${percent(cell.high)}), ${percent(cell.expected)} expected; ${pInWords("q", cell.q)}`,
      },
      asDeparture ? points(excessOf(cell), 0) : (100 * cell.win_rate).toFixed(0),
      clear ? el("span", { "aria-hidden": "true" }, " •") : "",
    ),
  );
}

function drawTopicControls(levels, shown, asDeparture) {
  fill(
    $("signature-controls"),
    choice(
      "Topics",
      ...levels.map((topics) =>
        button(levelName(topics.level), topics === shown, () => go({ level: String(topics.level) })),
      ),
    ),
    choice(
      "Cells",
      button("beyond expected", asDeparture, () => go({ cells: "" })),
      button("win rate", !asDeparture, () => go({ cells: "rate" })),
    ),
    el(
      "span",
      { class: "legend-inline" },
      asDeparture ? ["worse ", gradient(WINS), " better"] : ["0 % ", gradient(WINS), " 100 %"],
    ),
  );
  fill(
    $("signature-note"),
    asDeparture
      ? `Share of battles won minus the share that ratings predict against the same opponents, in percentage points. Bold with a dot: significantly more or fewer wins (permutation of prompts, false discovery rate ${percent(data.fdr)} over the cells shown). The rest may be chance. Similar models and similar topics are next to each other. Click a cell to see its battles.`
      : "Share of battles won in percent, a tie counting half. It depends on the opponents. Click a cell to see its battles.",
  );
}

function drawHeatMap(shown, asDeparture) {
  const cells = shown.cells.map((line) => line.map((cell) => cell && asRow(data.cellColumns, cell)));
  const large = cells.flat().filter((cell) => cell && cell.prompts > 2);
  const widest = Math.max(0.05, ...large.map((cell) => Math.abs(excessOf(cell))));
  const columns = shown.models.map((number) => models[number]);
  const heads = [
    el("th", { scope: "col", class: "corner" }, "Topic"),
    ...columns.map((model) =>
      el(
        "th",
        { scope: "col", class: "upright" },
        el("a", { href: { model: model.model, rows: "" } }, bdi(model.model)),
      ),
    ),
  ];
  const rows = shown.regions.map((id, row) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row" },
        el(
          "a",
          { href: { ...placeOf(shown.level, id), rows: "" }, "data-to": "map" },
          ...nameOfPlace(shown.level, id),
        ),
      ),
      columns.map((model, at) => winCell(model, shown.level, id, cells[row][at], asDeparture, widest)),
    ),
  );
  fill($("signature-table"), table("Win rates by topic", heads, rows));
  $("signature-table").firstChild.classList.add("heat");
}

// ------------------------------------------------------------------- whether the topic matters

const spreadInWords = ({ level, spread }) =>
  spread
    ? `Ratings in ${levelName(level)} spread by about ${spread} points around the overall ones.`
    : `Ratings of ${levelName(level)} predict unseen prompts no better than the overall ones.`;

function topicRow(test) {
  const place = placeOf(test.level, test.region_id);
  return el(
    "tr",
    {},
    el(
      "th",
      { scope: "row" },
      el("a", { href: { ...place, rows: "" }, "data-to": "map" }, ...nameOfPlace(test.level, test.region_id)),
    ),
    numberCell(count(test.prompts)),
    numberCell(
      rowsLink(
        count(test.battles),
        { ...place, rows: "all" },
        `List all ${count(test.battles)} battles there`,
      ),
    ),
    numberCell(count(test.models)),
    numberCell(pValue(test.p)),
    numberCell(pValue(test.q)),
    el(
      "td",
      { class: "number nowrap" },
      `${test.likelihood_ratio.toFixed(1)} (${test.degrees_of_freedom} df)`,
    ),
    numberCell(pValue(test.p_independent)),
    el(
      "td",
      { class: "whole" },
      isClear(test)
        ? el("span", { class: "mark worse" }, "ratings differ here")
        : dim("no significant difference"),
    ),
  );
}

function drawTopicTests(levels) {
  const tests = levels
    .flatMap(({ level, tests: rows }) => rows.map((row) => ({ level, ...asRow(data.topicColumns, row) })))
    .sort((a, b) => a.p - b.p);
  const clear = tests.filter(isClear).length;
  const number = plural(tests.length, "topic");
  fill(
    $("topics"),
    el("h3", {}, "Does it matter what the prompt is about?"),
    el(
      "p",
      {},
      clear
        ? `In ${count(clear)} of ${number}, who wins differs significantly from elsewhere (q below ${percent(data.fdr)}). `
        : `There is no clear evidence that it does: in none of ${number} does who wins differ significantly from elsewhere. `,
      dim(levels.map(spreadInWords).join(" ")),
    ),
    scrolling(
      table(
        "Topics",
        [
          "Topic",
          "Prompts",
          "Battles",
          "Models",
          "p",
          "q",
          "Likelihood ratio",
          "p if independent",
          "Verdict",
        ],
        tests.slice(0, 20).map(topicRow),
      ),
    ),
    tests.length > 20
      ? el(
          "p",
          { class: "dim small" },
          `The 20 most significant of ${count(tests.length)}; errclust battles ${data.benchmark} --limit 0 shows all.`,
        )
      : null,
    columnNotes([
      [
        "p",
        "From permutations of prompts, with all their battles, among topics: the share of permutations in which ratings differ as much.",
      ],
      ["q", "False discovery rate over the topics of a level at which the difference is significant."],
      [
        "Likelihood ratio",
        "Of ratings fitted to the topic alone against the overall ratings, with its degrees of freedom (df).",
      ],
      [
        "p if independent",
        "The textbook p value of that ratio. It takes battles on one prompt for independent, which they are not, and so finds too many differences.",
      ],
    ]),
  );
}

export function drawTopics() {
  const levels = topicLevels();
  const shown =
    levels.find((topics) => String(topics.level) === state.level) ||
    levels.find((topics) => topics.level === 1) ||
    levels[0];
  fill($("signature-title"), "Win rates: where each model wins more than expected");
  if (!shown) {
    fill(
      $("signature-note"),
      "The map has no regions (too few prompts, or none alike), and the source names no subjects.",
    );
    for (const id of ["signature-controls", "signature-table", "topics"]) fill($(id));
    return;
  }
  const asDeparture = state.cells !== "rate";
  drawTopicControls(levels, shown, asDeparture);
  drawHeatMap(shown, asDeparture);
  drawTopicTests(levels);
}
