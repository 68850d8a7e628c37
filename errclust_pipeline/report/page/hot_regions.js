// Hot regions of a model: places on the map where its errors, or its errors beyond difficulty, are
// more frequent than elsewhere. Also what any hot region is called and what is claimed of it.

import { data, hasDifficulty } from "./data.js";
import {
  $,
  bdi,
  columnNotes,
  dim,
  el,
  fill,
  numberCell,
  rangeCell,
  rankCell,
  rowsLink,
  table,
} from "./elements.js";
import { uncertainRegionClaim } from "./confidence_regions.js";
import { chosenModel, modelNamed, regionName, showsBeyond } from "./selection.js";
import { state } from "./state.js";
import { count, pInWords, pValue, percent, plural, points } from "./words.js";

const NAMES = {
  confidently_wrong: "confidently wrong region",
  uncertain: "uncertain region",
  uncertain_given_options: "uncertain region (given the number of options)",
};

export const hotRegionName = ({ hot, owner }, model) => [
  `${NAMES[hot.basis] ?? "hot region"} ${hot.rank}`,
  owner === model ? "" : [" of ", bdi(owner.model)],
  ": ",
  bdi(hot.keyPhrases.join(", ")),
];

export const replicationInWords = (hot) =>
  hot.heldOutExcess === null
    ? "Neither half of the questions finds it on its own."
    : `Where one half of the questions finds it, the other half shows an excess of ${points(hot.heldOutExcess, 0)} percentage points; ${hot.replicatedHalves} of 2 halves confirm it.`;

function errorClaim(hot) {
  const expected = hot.basis === "errors" ? "The overall error rate is" : "Difficulty explains";
  return (
    `The 95 % interval is ${percent(hot.low)} to ${percent(hot.high)} (Clopper-Pearson; optimistic, because the region was selected for its errors). ` +
    `${expected} ${percent(hot.expected / hot.size)}. ${pInWords("q", hot.q)} for a typical question of its core. ${replicationInWords(hot)}`
  );
}

export const hotRegionClaim = (hot) => (NAMES[hot.basis] ? uncertainRegionClaim(hot) : errorClaim(hot));

// ---------------------------------------------------------------------------------- the table

function difficultyNote(model) {
  if (showsBeyond()) return "";
  return hasDifficulty(model)
    ? "Many of them may be hard for every model: choose “beyond difficulty” above to see what difficulty does not explain. "
    : `Many of them may be hard for every model: telling that takes at least ${data.fewestModels} models. `;
}

function hotRegionNote(number, model) {
  if (!number) return "None found: no place stands out at this false discovery rate.";
  return [
    `${plural(number, "hot region")}, most significant first. `,
    difficultyNote(model),
    `A hot region is grown from questions whose neighbourhood is significant (false discovery rate ${percent(data.fdr)} over all questions and scales). It shows where the model errs, not why.`,
    columnNotes([
      [
        "Error rate (95 %)",
        "With its Clopper-Pearson interval, which is optimistic because the region was selected for its errors.",
      ],
      ["Elsewhere", "Error rate on all other questions."],
      showsBeyond()
        ? ["Explained", "Error rate that the difficulty of these questions explains."]
        : ["Expected", "Error rate over all questions."],
      ["q", "False discovery rate at which a typical question of the region's core is significant."],
      [
        "Held out",
        `Error rate less the ${showsBeyond() ? "explained" : "expected"} one, in percentage points, on questions that had no part in finding the place: each half of the questions tests what the other half finds.`,
      ],
      [
        "Confirmed",
        "Number of halves of the questions in which the place that the other half finds has more errors than expected (exact test, p below 0.05).",
      ],
      ["Hot for others", "Number of other models for which the region is hot too."],
    ]),
  ];
}

function hotRegionRow(hot, model) {
  const key = `${hot.basis}-${hot.rank}`;
  const isChosen = state.hot === key && (modelNamed(state.owner) ?? model) === model;
  return el(
    "tr",
    { class: isChosen ? "chosen" : "" },
    rankCell(hot.rank),
    el(
      "th",
      { scope: "row" },
      el(
        "a",
        { href: { hot: key, owner: "", region: "", rows: "" }, "data-to": "map" },
        bdi(hot.keyPhrases.join(", ") || `region ${hot.rank}`),
      ),
    ),
    el("td", { class: "small whole in-region" }, hot.regionId ? regionName(hot.regionId) : "–"),
    rangeCell(hot.rate, hot.low, hot.high),
    numberCell(percent(hot.outsideRate)),
    numberCell(percent(hot.expected / hot.size)),
    numberCell(pValue(hot.q)),
    numberCell(hot.heldOutExcess === null ? "–" : points(hot.heldOutExcess, 0)),
    numberCell(`${hot.replicatedHalves} of 2`),
    numberCell(hot.others ? `${hot.hotForOthers} of ${hot.others}` : "–"),
    numberCell(
      rowsLink(
        count(hot.errors),
        { hot: key, owner: "", region: "", rows: "errors" },
        `List the ${count(hot.errors)} errors there`,
      ),
      dim(` of ${count(hot.size)}`),
    ),
  );
}

export function drawHotRegions() {
  const model = chosenModel();
  const basis = showsBeyond() ? "beyond_difficulty" : "errors";
  const shown = model.hotRegions.filter((hot) => hot.basis === basis);
  fill(
    $("hot-title"),
    "Hot regions: where ",
    bdi(model.model),
    showsBeyond() ? " errs more than difficulty explains" : " errs more than elsewhere",
  );
  fill($("hot-note"), hotRegionNote(shown.length, model));
  fill(
    $("hot-table"),
    shown.length
      ? table(
          "Hot regions",
          [
            "Rank",
            "Questions about",
            "In region",
            "Error rate (95 %)",
            "Elsewhere",
            showsBeyond() ? "Explained" : "Expected",
            "q",
            "Held out",
            "Confirmed",
            "Hot for others",
            "Errors",
          ],
          shown.map((hot) => hotRegionRow(hot, model)),
        )
      : "",
  );
}
