// Battles as columns, and what is counted and looked up in them: who judged, who won where, what
// ratings expect.

import { asRow, column, data, models, ofBattles, pointCount, questions } from "./data.js";
import { bdi, button, choice } from "./elements.js";
import { regionName } from "./selection.js";
import { go, state } from "./state.js";
import { pInWords, percent } from "./words.js";

export const battles = ofBattles
  ? {
      question: column(data.battles.question, Int32Array),
      first: column(data.battles.first, Uint16Array),
      second: column(data.battles.second, Uint16Array),
      // Of the first model: 2 it won, 1 a tie, 0 it lost.
      score: column(data.battles.score, Uint8Array),
      kind: column(data.battles.kind, Uint8Array),
      judge: column(data.battles.judge, Int32Array),
      responseOfFirst: column(data.battles.responseOfFirst, Int32Array),
      responseOfSecond: column(data.battles.responseOfSecond, Int32Array),
    }
  : null;

// ------------------------------------------------------------------------- judges and ratings

export const judgeKind = () => (data.judgeKinds.includes(state.judged) ? state.judged : data.judgeKinds[0]);
export const judgeKindNumber = () => data.judgeKinds.indexOf(judgeKind());
export const judgesInWords = (kind) => ({ human: "people", model: "models" })[kind] ?? kind;

export const judgeChoice = () =>
  data.judgeKinds.length > 1
    ? choice(
        "Judged by",
        ...data.judgeKinds.map((kind) =>
          button(judgesInWords(kind), kind === judgeKind(), () => go({ judged: kind, rows: "" })),
        ),
      )
    : null;

export const ratingOf = (model) => model.ratings[judgeKind()] ?? null;
export const byRating = () =>
  [...models].sort((a, b) => (ratingOf(b)?.rating ?? -Infinity) - (ratingOf(a)?.rating ?? -Infinity));

// The share of battles that a rating expects to win against another.
export const expectedScore = (rating, other) => 1 / (1 + 10 ** ((other - rating) / data.elo));

// ------------------------------------------------------------------------------------- places

// Level 0 has the subjects that the source names; from 1 on, regions of the map.
export const everywhere = { region: "", subject: "", hot: "" };
export const placeOf = (level, id) => ({ ...everywhere, [level === 0 ? "subject" : "region"]: id });
export const nameOfPlace = (level, id) => (level === 0 ? [bdi(id)] : regionName(id));
export const levelName = (level) => ["subjects", "coarse regions", "fine regions"][level] ?? "finest regions";
export const chosenLevel = () => (state.subject ? 0 : state.region.split(".").length);
export const chosenName = () => state.subject || state.region;
export const isChosenPlace = (level, id) => (level ? state.region : state.subject) === id;

export const topicLevels = () => data.topics[judgeKind()] ?? [];

// What the tables say about a model in a place, and the test of the place itself.
export function cellOf(model, level, id) {
  const topics = topicLevels().find((each) => each.level === level);
  const row = topics ? topics.regions.indexOf(id) : -1;
  if (row < 0) return null;
  const cell = topics.cells[row][topics.models.indexOf(models.indexOf(model))];
  return {
    cell: cell ? asRow(data.cellColumns, cell) : null,
    test: asRow(data.topicColumns, topics.tests[row]),
  };
}

export const isClear = ({ q }) => q < data.fdr;

export function expectationInWords(cell) {
  const test = `permutation of prompts, ${pInWords("q", cell.q)}`;
  return `Its rating predicts ${percent(cell.expected)} against the same opponents: ${
    isClear(cell)
      ? `it does significantly ${cell.win_rate > cell.expected ? "better" : "worse"} here than elsewhere (${test}).`
      : `no significant difference (${test}).`
  }`;
}

// ----------------------------------------------------------------------------------- counting

const isInside = (here) => {
  const inside = new Uint8Array(pointCount);
  for (const point of here) inside[point] = 1;
  return (battle) => inside[questions.point[battles.question[battle]]];
};

function add(sum, score, expected) {
  sum.battles++;
  sum.score += score;
  sum.expected += expected;
  sum[{ 1: "won", 0: "lost" }[score] ?? "tied"]++;
}

// For each model, its battles on some prompts: how many, won, tied, lost, and what its rating
// expects. Only battles against one other model if that is given.
export function tally(here, other = null) {
  const kind = judgeKindNumber();
  const inside = isInside(here);
  const opponent = other === null ? -1 : models.indexOf(other);
  const ratings = models.map((model) => ratingOf(model)?.rating ?? NaN);
  const sums = models.map(() => ({ battles: 0, won: 0, tied: 0, lost: 0, score: 0, expected: 0 }));
  for (let battle = 0; battle < battles.score.length; battle++) {
    if (battles.kind[battle] !== kind || !inside(battle)) continue;
    const [a, b] = [battles.first[battle], battles.second[battle]];
    if (opponent >= 0 && a !== opponent && b !== opponent) continue;
    const score = battles.score[battle] / 2;
    const expected = expectedScore(ratings[a], ratings[b]);
    add(sums[a], score, expected);
    add(sums[b], 1 - score, 1 - expected);
  }
  return sums;
}

export const tallyOf = (model, here, other = null) => tally(here, other)[models.indexOf(model)];

// The numbers of the battles on some prompts; of one model, against another, with one outcome
// (2 won, 1 tied, 0 lost) if those are given.
export function battlesOf(model, here, other = null, outcome = null) {
  const kind = judgeKindNumber();
  const inside = isInside(here);
  const [number, opponent] = [models.indexOf(model), models.indexOf(other)];
  const listed = [];
  for (let battle = 0; battle < battles.score.length; battle++) {
    const [a, b, score] = [battles.first[battle], battles.second[battle], battles.score[battle]];
    if (battles.kind[battle] !== kind || !inside(battle)) continue;
    if (model && a !== number && b !== number) continue;
    if (other && a !== opponent && b !== opponent) continue;
    if (outcome !== null && (a === number ? score : 2 - score) !== outcome) continue;
    listed.push(battle);
  }
  return listed;
}
