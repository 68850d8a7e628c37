// The map of a battle set: what it can show of a model's wins, in which colours, with which test.

import {
  battles,
  everywhere,
  judgeChoice,
  judgeKind,
  judgeKindNumber,
  judgesInWords,
  ratingOf,
  tally,
} from "./battles.js";
import { WINS, WIN_COLOURS } from "./colours.js";
import { NO_RATE, column, data, isRegion, models, once, pointCount, questions } from "./data.js";
import { $, bdi, button, choice, el, fill, labelled } from "./elements.js";
import { ownRange, regionOptions } from "./error_map.js";
import { chosenModel, modelSelect, otherModel, subjectNumber } from "./selection.js";
import { go, state } from "./state.js";
import { percent, points } from "./words.js";

const winsOf = (model) => {
  const wins = model.maps[judgeKind()];
  return (
    wins &&
    once(wins, "columns", () => ({
      k: wins.k,
      won: column(wins.won, Uint8Array),
      around: column(wins.around, Uint8Array),
      beyond: column(wins.beyond, Uint8Array),
      hot: column(wins.hot, Int8Array),
    }))
  );
};

// What the map shows: battles won, won beyond the rating, or those against one other model.
function shownWins() {
  if (state.show === "against" && models.length > 1) return "against";
  return state.show === "beyond" && winsOf(chosenModel())?.beyond ? "beyond" : "won";
}

// ----------------------------------------------------------------------------------- controls

function topicSelect() {
  const subjects = data.questions.subjects;
  // The letter says whether the rest is a region or a subject.
  const choose = (value) => {
    const chosen = { r: { region: value.slice(1) }, s: { subject: value.slice(1) } }[value[0]];
    go({ ...everywhere, ...chosen, rows: "" });
  };
  const select = el(
    "select",
    { id: "region-choice", onchange: (event) => choose(event.target.value) },
    el("option", { value: "" }, "all prompts"),
    regionOptions("r"),
    subjects.map((subject) => el("option", { value: `s${subject}` }, subject)),
  );
  select.value =
    subjectNumber() >= 0 ? `s${state.subject}` : isRegion(state.region) ? `r${state.region}` : "";
  return select;
}

function dependenceInWords(model) {
  const rating = ratingOf(model);
  if (!rating) return `The model has no battles judged by ${judgesInWords(judgeKind())}.`;
  const { moran, moranZ, k } = rating;
  if (moran === null || moranZ === null)
    return "Whether it depends on the topic is not known: there are too few prompts.";
  const value = `Moran's I of the wins beyond its rating is ${moran.toFixed(3)} at ${k} neighbours`;
  return moranZ >= 2
    ? `Whether it wins depends on the topic: ${value}, ${moranZ.toFixed(1)} standard deviations above what a random arrangement gives (exact permutation moments).`
    : `There is no clear evidence that whether it wins depends on the topic: ${value} (z = ${moranZ.toFixed(1)}).`;
}

export function drawBattleMapHead() {
  const model = chosenModel();
  const other = models.length > 1 ? otherModel() : null;
  const shown = shownWins();
  fill(
    $("map-controls"),
    judgeChoice(),
    choice(
      "Show",
      button("win rate", shown === "won", () => go({ show: "" })),
      winsOf(model)?.beyond
        ? button("beyond rating", shown === "beyond", () => go({ show: "beyond" }))
        : null,
      other
        ? button("against one model", shown === "against", () => go({ show: "against", with: other.model }))
        : null,
    ),
    shown === "against"
      ? labelled(
          "Against",
          modelSelect(other, "Against", (name) => go({ with: name, rows: "" })),
        )
      : null,
    labelled("Topic", topicSelect()),
  );
  fill(
    $("map-title"),
    "The map: where ",
    bdi(model.model),
    " wins",
    shown === "against" ? [" against ", bdi(other.model)] : "",
  );
  fill(
    $("map-claim"),
    {
      won: "Share of battles won among each prompt's neighbours, against any opponent. ",
      beyond:
        "Share of battles won among each prompt's neighbours, minus the share that ratings predict against the same opponents. ",
      against: "Outcome of the two models' battles with each other on each prompt. ",
    }[shown],
    dependenceInWords(model),
  );
}

// ------------------------------------------------------------------------------------ colours

// The outcome of two models' battles with each other, prompt by prompt.
function outcomesAgainst(model, other) {
  const [a, b, kind] = [models.indexOf(model), models.indexOf(other), judgeKindNumber()];
  const sums = new Float32Array(pointCount);
  const counts = new Uint16Array(pointCount);
  for (let battle = 0; battle < battles.score.length; battle++) {
    const [first, second] = [battles.first[battle], battles.second[battle]];
    const ofBoth = (first === a && second === b) || (first === b && second === a);
    if (!ofBoth || battles.kind[battle] !== kind) continue;
    const point = questions.point[battles.question[battle]];
    sums[point] += first === a ? battles.score[battle] / 2 : 1 - battles.score[battle] / 2;
    counts[point]++;
  }
  return Uint8Array.from(sums, (sum, point) =>
    counts[point] ? Math.round((250 * sum) / counts[point]) : NO_RATE,
  );
}

const againstColouring = (model) => ({
  values: outcomesAgainst(model, otherModel()),
  hot: null,
  colours: WIN_COLOURS,
  stops: WINS,
  low: 0,
  high: 250,
  words: ["loses", "wins"],
  of: "outcome of battles with one other model",
  said: (value) => `${percent(value / 250)} won on it`,
  test: "Each dot shows the battles on that prompt alone: nothing is averaged or tested. Grey: the two did not meet on it. Tests are in the section Compare.",
});

const tested = (wins) => ({
  hot: wins.hot,
  colours: WIN_COLOURS,
  stops: WINS,
  names: ["better", "worse"],
  hotWords: "on whose neighbours it wins more than its rating predicts",
  coldWords: "on whose neighbours it wins less",
  test: wins.k
    ? `Getis-Ord Gi of the wins beyond its rating on each prompt's ${wins.k} neighbours (z-score under conditional permutation, exact moments)`
    : "",
});

const beyondRatingColouring = (wins) => ({
  ...tested(wins),
  values: wins.beyond,
  low: 62,
  high: 188,
  words: ["25 points fewer", "25 points more"],
  of: "battles won beyond the rating",
  said: (value) => `${points(value / 250 - 0.5, 0)} percentage points beyond its rating among its neighbours`,
});

function winRateColouring(wins) {
  const values = wins.around ?? wins.won;
  const [low, high] = once(wins, "bounds", () => ownRange(values));
  // As far below one half as above, so that pale is one half.
  const span = Math.max(125 - low, high - 125, 25);
  return {
    ...tested(wins),
    values,
    low: 125 - span,
    high: 125 + span,
    words: [125 - span, 125 + span].map((value) => `${percent(Math.min(Math.max(value / 250, 0), 1))} won`),
    of: "share of battles won",
    said: (value) => `${percent(value / 250)} won among its neighbours`,
  };
}

// What the dots show: values with their colours and words; null if nothing is known.
export function battleColouring() {
  const model = chosenModel();
  const shown = shownWins();
  if (shown === "against") return againstColouring(model);
  const wins = winsOf(model);
  if (!wins) return null;
  return shown === "beyond" ? beyondRatingColouring(wins) : winRateColouring(wins);
}

// Which models won at a point, the best first.
export function whoWon(point) {
  const share = ({ score, battles: number }) => score / number;
  const fought = tally([point])
    .map((sums, at) => ({ ...sums, model: models[at] }))
    .filter((sums) => sums.battles)
    .sort((a, b) => share(b) - share(a));
  return el(
    "ul",
    { class: "who" },
    fought
      .slice(0, 12)
      .map((sums) =>
        el(
          "li",
          { class: sums.model === chosenModel() ? "strong" : "" },
          bdi(sums.model.model),
          ` ${percent(share(sums))} of ${sums.battles}`,
        ),
      ),
    fought.length > 12 ? el("li", { class: "dim" }, `and ${fought.length - 12} more`) : null,
  );
}
