// Which battles the dialog of a battle set lists, and what each row unfolds to.

import {
  battles,
  battlesOf,
  cellOf,
  chosenLevel,
  chosenName,
  expectationInWords,
  judgeKind,
  judgesInWords,
  nameOfPlace,
  placeOf,
} from "./battles.js";
import { data, everyPoint, models, questions, regionAt, subjectAt, texts } from "./data.js";
import { bdi, el } from "./elements.js";
import { unfoldingRow } from "./rows.js";
import { chosenModel, chosenPoints, otherModel, regionName } from "./selection.js";
import { state } from "./state.js";
import { percent, plural, shortAnswer, shortened } from "./words.js";

const OUTCOMES = { won: 2, tied: 1, lost: 0 };
const TITLES = {
  won: "Battles won by ",
  tied: "Ties of ",
  lost: "Battles lost by ",
  battles: "Battles of ",
  all: "All battles",
};

// The battles that the address asks for; null if there are none of that kind.
export function battleRows() {
  const [, versus, what] = /^(vs_)?(battles|won|tied|lost|all)$/.exec(state.rows) ?? [];
  if (!what) return null;
  const model = what === "all" ? null : chosenModel();
  const other = versus && models.length > 1 ? otherModel() : null;
  const chosen = chosenPoints();
  const listed = battlesOf(model, chosen ? chosen.points : everyPoint, other, OUTCOMES[what] ?? null);
  const cell = model && !other && chosen ? cellOf(model, chosenLevel(), chosenName())?.cell : null;
  return {
    title: [
      TITLES[what],
      model ? bdi(model.model) : "",
      other ? [" against ", bdi(other.model)] : "",
      chosen ? [" in ", ...nameOfPlace(chosenLevel(), chosenName())] : "",
    ],
    claim: [
      `${plural(listed.length, "battle")} judged by ${judgesInWords(judgeKind())}. `,
      cell
        ? `It won ${percent(cell.win_rate)} (95 % interval ${percent(cell.low)} to ${percent(cell.high)}, clustered by prompt). ${expectationInWords(cell)}`
        : "",
    ],
    items: listed.map((battle) => ({ battle })),
  };
}

function responseNode(model, number, outcome) {
  const badge = { won: "ok", lost: "bad" }[outcome] ?? "";
  return el(
    "div",
    { class: "answer" },
    el("p", {}, bdi(model.model), " ", el("span", { class: `badge ${badge}` }, outcome)),
    number < 0
      ? el("p", { class: "dim small" }, "Its response is not known.")
      : el("pre", { class: "text response" }, bdi(texts.responses[number])),
  );
}

function battleBody(battle, a, b, prompt) {
  const [point, score, judge] = [
    questions.point[battles.question[battle]],
    battles.score[battle],
    battles.judge[battle],
  ];
  const [subject, region] = [subjectAt(point), regionAt(point)];
  return el(
    "div",
    { class: "row-body" },
    el("pre", { class: "text" }, bdi(prompt)),
    responseNode(a, battles.responseOfFirst[battle], ["lost", "tied", "won"][score]),
    responseNode(b, battles.responseOfSecond[battle], ["won", "tied", "lost"][score]),
    el(
      "p",
      { class: "small dim" },
      `Judged by ${judgesInWords(data.judgeKinds[battles.kind[battle]])}`,
      judge < 0 ? "" : [": ", bdi(texts.judges[judge])],
      ". ",
      subject
        ? [
            "Subject: ",
            el("a", { href: { ...placeOf(0, subject), rows: "" }, "data-to": "map" }, bdi(subject)),
            ". ",
          ]
        : "",
      region
        ? [
            "Region: ",
            el("a", { href: { ...placeOf(1, region), rows: "" }, "data-to": "map" }, ...regionName(region)),
            ".",
          ]
        : "",
    ),
  );
}

export function battleNode({ battle }) {
  const prompt = texts.questions[battles.question[battle]] ?? "";
  const [a, b] = [models[battles.first[battle]], models[battles.second[battle]]];
  const [winner, loser] = battles.score[battle] ? [a, b] : [b, a];
  const verdict =
    battles.score[battle] === 1
      ? [bdi(a.model), " and ", bdi(b.model), " tied"]
      : [bdi(winner.model, { class: "gold" }), " beat ", bdi(loser.model, { class: "said" })];
  const judge = battles.judge[battle];
  const summary = el(
    "summary",
    {},
    bdi(shortened(prompt, 170)),
    el(
      "span",
      { class: "answers" },
      ...verdict,
      judge < 0 ? "" : [" · ", bdi(shortAnswer(texts.judges[judge]))],
    ),
  );
  return unfoldingRow(summary, () => battleBody(battle, a, b, prompt));
}
