// The page as a whole: its sections, what is drawn anew when the reader's choice changes, and the
// start.

import { battles } from "./battles.js";
import { drawBattleCompare } from "./battle_compare.js";
import { drawBattleMapHead } from "./battle_map.js";
import { drawBattlePlaces, drawBattleRegion } from "./battle_region.js";
import { drawClusters } from "./clusters.js";
import { drawCompare } from "./compare.js";
import { drawConfidence } from "./confidence.js";
import { confidenceIsKnown, data, models, ofBattles, pointCount, started, unit, withTexts } from "./data.js";
import { $, bdi, changeOfLink, el, fill } from "./elements.js";
import { drawErrorMapHead } from "./error_map.js";
import { drawErrorRegion } from "./error_region.js";
import { drawHotRegions } from "./hot_regions.js";
import { drawLeaderboard } from "./leaderboard.js";
import { drawMap } from "./map.js";
import { listenToMap } from "./map_moves.js";
import { drawRatings } from "./ratings.js";
import { drawRows } from "./rows.js";
import { chosenModel, modelNamed } from "./selection.js";
import { drawSignatures } from "./signatures.js";
import { followAddress, go, readAddress, state } from "./state.js";
import { drawTopics } from "./topics.js";
import { plural } from "./words.js";

// ----------------------------------------------------------------------------------- sections

// Links carry the whole state, so whatever has links is drawn anew when any of these changes.
const PLACE = ["model", "judged", "region", "subject", "show", "with", "k"];
const HOT_PLACE = [...PLACE, "hot", "owner"];
const CELLS = [...PLACE, "level", "cells"];

// The sections of each kind of report in their order: the name on the tab, and what is drawn when
// which part of the state changes. A section that is not listed here is hidden.
const SECTIONS = ofBattles
  ? [
      {
        id: "leaderboard",
        tab: "Ratings",
        drawings: [
          [drawRatings, PLACE],
          [drawTopics, CELLS],
        ],
      },
      {
        id: "map",
        tab: "Map",
        drawings: [
          [drawBattleMapHead, HOT_PLACE],
          [drawMap, HOT_PLACE],
          [drawBattleRegion, HOT_PLACE],
          [drawBattlePlaces, HOT_PLACE],
        ],
      },
      { id: "compare", tab: "Compare", drawings: [[drawBattleCompare, [...PLACE, "level"]]] },
    ]
  : [
      {
        id: "leaderboard",
        tab: "Leaderboard",
        drawings: [
          [drawLeaderboard, PLACE],
          [drawSignatures, CELLS],
        ],
      },
      {
        id: "map",
        tab: "Map",
        drawings: [
          [drawErrorMapHead, HOT_PLACE],
          [drawMap, HOT_PLACE],
          [drawErrorRegion, HOT_PLACE],
          [drawHotRegions, HOT_PLACE],
        ],
      },
      { id: "compare", tab: "Compare", drawings: [[drawCompare, [...PLACE, "level"]]] },
      ...(confidenceIsKnown
        ? [{ id: "confidence", tab: "Confidence", drawings: [[drawConfidence, HOT_PLACE]] }]
        : []),
      { id: "clusters", tab: "Clusters", drawings: [[drawClusters, ["model", "cluster"]]] },
    ];

let drawnState = null;
let scrollTarget = null;

function drawNotes() {
  const notes = data.notes.map((note) => el("p", { class: "warning small" }, bdi(note)));
  const summary = el(
    "summary",
    { class: "warning small" },
    `Some of this report is incomplete or out of date: ${plural(notes.length, "note")}`,
  );
  const unknown = state.model && !modelNamed(state.model);
  fill(
    $("notes"),
    notes.length > 2 ? el("details", {}, summary, notes) : notes,
    unknown
      ? el(
          "p",
          { class: "warning small" },
          "There is no model ",
          bdi(state.model),
          " in this report: the first one is shown.",
        )
      : null,
  );
}

function draw() {
  followAddress();
  const changed = (names) => !drawnState || names.some((name) => drawnState[name] !== state[name]);
  $("model").value = chosenModel().model;
  for (const { drawings } of SECTIONS) for (const [drawing, names] of drawings) if (changed(names)) drawing();
  drawRows();
  drawNotes();
  drawnState = { ...state };
  if (scrollTarget) $(scrollTarget).scrollIntoView({ block: "start" });
  scrollTarget = null;
}

// -------------------------------------------------------------------------------------- start

function drawFrame() {
  const what = ofBattles
    ? `Which model wins, and where: ${plural(battles.score.length, "battle")} of ${plural(models.length, "model")} on ${plural(pointCount, "distinct prompt")}.`
    : `What ${plural(models.length, "model")} got wrong, and where: ${plural(pointCount, "distinct question")}.`;
  $("title").textContent = data.benchmark;
  fill($("subtitle"), `${what} `, el("span", { class: "nowrap" }, `Made on ${data.made.slice(0, 10)}.`));
  fill($("map-dots"), `Each dot is a ${unit}; similar ${unit}s are close to each other.`);
  fill(
    $("tabs"),
    SECTIONS.map(({ id, tab }) =>
      el(
        "button",
        {
          type: "button",
          "data-section": id,
          onclick: () => $(id).scrollIntoView({ block: "start" }),
        },
        tab,
      ),
    ),
  );
  for (const section of document.querySelectorAll("main > section"))
    section.hidden = !SECTIONS.some(({ id }) => id === section.id);
  fill(
    $("model"),
    models.map((model) => el("option", { value: model.model }, model.model)),
  );
  fill(
    $("footer"),
    `Made by errclust ${data.version} at ${data.made}. The documentation of errclust explains the statistics, the tests and their limits; the command errclust sql reads the tables behind this page. This page loads nothing from the network.`,
  );
}

function listen() {
  $("model").addEventListener("change", (event) =>
    go({ model: event.target.value, hot: "", cluster: "", rows: "" }),
  );
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!changeOfLink.has(link) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.to) scrollTarget = link.dataset.to;
    if (!go(changeOfLink.get(link))) draw();
  });
  const dialog = $("rows");
  $("rows-close").addEventListener("click", () => go({ rows: "" }));
  dialog.addEventListener("close", () => {
    if (state.rows) go({ rows: "" });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) go({ rows: "" });
  });
  window.addEventListener("hashchange", draw);
}

// The tab of the section in the middle of the window is marked.
function watchSections() {
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen)
        document.querySelector(`[data-section="${target.id}"]`)?.classList.toggle("here", isIntersecting);
    },
    { rootMargin: "-45% 0px -50% 0px" },
  );
  for (const { id } of SECTIONS) watcher.observe($(id));
}

// A link to a cluster, a comparison or a place opens the page there.
function sectionOf({ rows, cluster, with: other, region, hot, subject }) {
  if (rows) return null;
  return cluster ? "clusters" : other ? "compare" : region || hot || subject ? "map" : null;
}

function start() {
  const root = document.documentElement.dataset;
  const now = () => String(Math.round(performance.now()));
  drawFrame();
  listen();
  listenToMap();
  scrollTarget = sectionOf(readAddress());
  draw();
  root.ready = now();
  root.script = String(Math.round(performance.now() - started));
  const unpacked = () => {
    root.texts = now();
  };
  setTimeout(() => withTexts().then(unpacked, () => {}), 50);
  watchSections();
}

start();
