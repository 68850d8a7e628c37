// Lists of questions, errors and battles, each row of which unfolds to its texts; and the dialog
// that shows the rows behind a number.

import { battleNode, battleRows } from "./battle_rows.js";
import {
  confidenceOf,
  data,
  errorsOf,
  models,
  ofBattles,
  questions,
  regionAt,
  texts,
  withTexts,
} from "./data.js";
import { $, bdi, el, fill } from "./elements.js";
import { selectedRows } from "./selected_rows.js";
import { chosenPoints, regionName, whoFailed } from "./selection.js";
import { state } from "./state.js";
import { count, percent, shortAnswer, shortened, spaced } from "./words.js";

const textsOf = (model) => texts.models[models.indexOf(model)];

// What a model answered to a question that it got wrong.
function answerNode({ model, row }) {
  const { predictions, responses, tails } = textsOf(model);
  const whole = responses[row];
  const response = whole || tails[row];
  return el(
    "div",
    { class: "answer" },
    el(
      "p",
      {},
      bdi(model.model),
      " answered: ",
      bdi(predictions[row] ?? "no answer could be extracted", { class: "said" }),
      " ",
      el("span", { class: "badge" }, spaced(data.failureForms[errorsOf(model).form[row]])),
    ),
    response ? el("p", { class: "small dim" }, whole ? "Its response:" : "The end of its response:") : null,
    response ? el("pre", { class: "text response" }, bdi(response)) : null,
  );
}

function optionNodes(choices, gold) {
  if (!choices) return null;
  return el(
    "ol",
    { class: "options" },
    choices.map((option) => {
      const isGold = option === gold;
      return el(
        "li",
        { class: isGold ? "gold" : "" },
        bdi(option),
        isGold ? el("span", { class: "visually-hidden" }, " (correct)") : "",
      );
    }),
  );
}

function questionBody(item, question, point) {
  const { model, other } = item;
  const subject = data.questions.subjects[questions.subject[question]];
  const region = regionAt(point);
  const confidence = model ? confidenceOf(model) : null;
  const gold = texts.gold[question];
  return el(
    "div",
    { class: "row-body" },
    el("pre", { class: "text" }, bdi(texts.questions[question] ?? "")),
    optionNodes(texts.choices[question], gold),
    el("p", {}, "Correct answer: ", bdi(gold, { class: "gold" })),
    [item, other].filter((answer) => answer?.model && answer.row >= 0).map(answerNode),
    other && other.row < 0 ? el("p", {}, bdi(other.model.model), " is right.") : null,
    confidence && confidence.corner[point] >= 0
      ? el(
          "p",
          { class: "small dim" },
          bdi(model.model),
          ` gives the option it chose a probability of ${percent(confidence.probability[point] / 250)}; its prediction set contains ${(confidence.size[point] / 10).toFixed(1)} options on average.`,
        )
      : null,
    el(
      "p",
      { class: "small dim" },
      subject ? ["Subject: ", bdi(subject), ". "] : "",
      region
        ? [
            "Region: ",
            el(
              "a",
              { href: { region, rows: "", hot: "", cluster: "" }, "data-to": "map" },
              ...regionName(region),
            ),
            ".",
          ]
        : "",
    ),
    whoFailed(point),
  );
}

// A row that unfolds: `body` makes what it unfolds to, when it is first opened.
export function unfoldingRow(summary, body) {
  const node = el("details", { class: "row" }, summary);
  node.addEventListener("toggle", () => {
    if (node.open && node.childElementCount === 1) node.append(body());
  });
  return node;
}

function questionNode(item) {
  const { model, row, role } = item;
  const question = row >= 0 && model ? errorsOf(model).question[row] : questions.ofPoint[item.point];
  const point = item.point ?? questions.point[question];
  const summary = el(
    "summary",
    {},
    role ? [el("span", { class: "badge" }, role), " "] : null,
    bdi(shortened(texts.questions[question] ?? "", 170)),
    model && row >= 0
      ? el(
          "span",
          { class: "answers" },
          " correct: ",
          bdi(shortAnswer(texts.gold[question]), { class: "gold" }),
          " · answered: ",
          bdi(shortAnswer(textsOf(model).predictions[row]), { class: "said" }),
        )
      : null,
  );
  return unfoldingRow(summary, () => questionBody(item, question, point));
}

const rowNode = (item) => (item.battle === undefined ? questionNode(item) : battleNode(item));

// A list that shows a few rows, and more when asked; it waits for the texts to be unpacked.
export function rowList(items, step) {
  const list = el("div", { class: "row-list" });
  if (!items.length) return list;
  let shown = 0;
  let next = step;
  const add = () => {
    const added = items.slice(shown, shown + next);
    shown += added.length;
    more.before(...added.map(rowNode));
    const left = items.length - shown;
    next = Math.max(next, Math.min(next * 3, 60));
    more.hidden = left === 0;
    more.textContent = `Show ${count(Math.min(next, left))} more of ${count(left)}`;
  };
  const more = el("button", { type: "button", onclick: add });
  const start = () => {
    fill(list, more);
    add();
  };
  if (texts) start();
  else {
    list.append(el("p", { class: "dim small" }, "unpacking the texts…"));
    withTexts().then(start, (error) =>
      fill(
        list,
        el(
          "p",
          { class: "warning" },
          `The texts cannot be unpacked (${error.message}): open the report in a browser released in 2023 or later.`,
        ),
      ),
    );
  }
  return list;
}

// The dialog of the rows behind the number that was clicked.
export function drawRows() {
  const dialog = $("rows");
  const shown = state.rows ? (ofBattles ? battleRows() : selectedRows()) : null;
  if (!shown) {
    if (dialog.open) dialog.close();
    return;
  }
  fill($("rows-title"), ...shown.title);
  fill($("rows-claim"), ...shown.claim);
  fill(
    $("rows-actions"),
    chosenPoints()
      ? el("a", { href: { rows: "" }, class: "like-button", "data-to": "map" }, "Show on the map")
      : null,
  );
  fill($("rows-list"), shown.items.length ? rowList(shown.items, 20) : el("p", { class: "dim" }, "None."));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
