// The ratings of a battle set's models.

import {
  columnNotes,
  $,
  bdi,
  dimSmall,
  el,
  fill,
  interval,
  numberCell,
  rankCell,
  rowsLink,
  table,
} from "./elements.js";
import { byRating, everywhere, judgeChoice, judgeKind, judgesInWords, ratingOf } from "./battles.js";
import { data } from "./data.js";
import { chosenModel } from "./selection.js";
import { count, percent } from "./words.js";

function ratingNote(rated, { hasStyle, hasGroups, others }) {
  const bounded = rated.every((model) => ratingOf(model).bounded);
  return [
    `Bradley-Terry ratings from the verdicts of ${judgesInWords(judgeKind())}, on the Elo scale (mean 1000; ${data.elo} points more mean odds of ten to one). A tie counts as half a win. `,
    bounded ? "" : "*: it never lost, or never won; its rating rests on a prior. ",
    hasGroups
      ? "Some models are not connected by any chain of battles: compare ratings only within a group. "
      : "",
    columnNotes([
      [
        "95 % interval",
        "Confidence interval of the rating, clustered by prompt, and by judge if there are ten or more judges.",
      ],
      ["Won", "Share of battles won, a tie counting half. It depends on the opponents."],
      hasStyle && [
        "At equal style",
        "The rating if all models wrote equally long answers with equally much formatting.",
      ],
      [
        "By topic",
        "Moran's I, over the map, of the battles won beyond what ratings predict, with its z-score (exact permutation moments). Above about z = 2, whether the model wins depends on the topic.",
      ],
      hasGroups && ["Group", "Models that are connected by battles have the same number."],
      ...others.map((kind) => [
        `By ${judgesInWords(kind)}`,
        `The rating from the verdicts of ${judgesInWords(kind)}.`,
      ]),
    ]),
  ];
}

function ratingRow(model, place, { hasStyle, hasGroups, others, least, most }) {
  const rating = ratingOf(model);
  return el(
    "tr",
    { "data-model": model.model, class: model === chosenModel() ? "chosen" : "" },
    rankCell(place + 1),
    el("th", { scope: "row" }, el("a", { href: { model: model.model, rows: "" } }, bdi(model.model))),
    el("td", { class: "number strong" }, `${rating.rating.toFixed(0)}${rating.bounded ? "" : "*"}`),
    el(
      "td",
      { class: "nowrap whole" },
      rating.low === null ? "" : interval(rating.low, rating.rating, rating.high, least, most, 1000),
      dimSmall(rating.low === null ? "–" : ` ${rating.low.toFixed(0)} to ${rating.high.toFixed(0)}`),
    ),
    numberCell(
      rowsLink(
        count(rating.battles),
        { model: model.model, rows: "battles", ...everywhere },
        `List the ${count(rating.battles)} battles of ${model.model}`,
      ),
    ),
    numberCell(percent(rating.winRate)),
    hasStyle ? numberCell(rating.styleRating === null ? "–" : rating.styleRating.toFixed(0)) : null,
    el(
      "td",
      { class: "number nowrap" },
      rating.moran === null || rating.moranZ === null
        ? "–"
        : `${rating.moran.toFixed(3)} (z ${rating.moranZ.toFixed(1)})`,
    ),
    hasGroups ? numberCell(String(rating.component + 1)) : null,
    others.map((kind) => numberCell(model.ratings[kind] ? model.ratings[kind].rating.toFixed(0) : "–")),
  );
}

export function drawRatings() {
  const rated = byRating().filter((model) => ratingOf(model));
  const ratings = rated.map(ratingOf);
  const layout = {
    hasStyle: ratings.some((rating) => rating.styleRating !== null),
    hasGroups: new Set(ratings.map((rating) => rating.component)).size > 1,
    others: data.judgeKinds.filter((kind) => kind !== judgeKind()),
    least: Math.min(...ratings.map((rating) => rating.low ?? rating.rating)) - 10,
    most: Math.max(...ratings.map((rating) => rating.high ?? rating.rating)) + 10,
  };
  fill($("leaderboard-title"), "Ratings");
  fill($("leaderboard-controls"), judgeChoice());
  fill($("leaderboard-note"), ratingNote(rated, layout));
  fill(
    $("leaderboard-table"),
    table(
      "Ratings",
      [
        "Rank",
        "Model",
        "Rating",
        "95 % interval",
        "Battles",
        "Won",
        ...(layout.hasStyle ? ["At equal style"] : []),
        "By topic",
        ...(layout.hasGroups ? ["Group"] : []),
        ...layout.others.map((kind) => `By ${judgesInWords(kind)}`),
      ],
      rated.map((model, place) => ratingRow(model, place, layout)),
    ),
  );
}
