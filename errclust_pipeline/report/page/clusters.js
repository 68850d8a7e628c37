// Clusters of a model's errors: a list that unfolds to names, how well they fit, examples and parts.

import { errorsOf } from "./data.js";
import { $, bdi, el, fill, rowsLink } from "./elements.js";
import { rowList } from "./rows.js";
import { chosenModel } from "./selection.js";
import { state } from "./state.js";
import { count, percent, plural, spaced } from "./words.js";

// Rows of a model's errors that are in a cluster or its parts.
export function membersOf(model, id) {
  const numbers = new Set();
  model.clusters.forEach(({ clusterId }, number) => {
    if (clusterId === id || clusterId.startsWith(`${id}.`)) numbers.add(number);
  });
  const members = [];
  errorsOf(model).cluster.forEach((number, row) => {
    if (numbers.has(number)) members.push(row);
  });
  return members;
}

// How well a cluster's name tells its members from other errors.
export function fitInWords(label) {
  const range = (middle, low, high) =>
    `${percent(middle)} (95 % interval ${percent(low)} to ${percent(high)})`;
  const said = [];
  if (label.faithfulness !== null) {
    said.push(
      `By its similarity to the errors' texts, the name tells members that it was not written from and other errors apart with a balanced accuracy of ${range(label.faithfulness, label.faithfulnessLow, label.faithfulnessHigh)}; guessing gives 50 %.`,
    );
  }
  if (label.judgedFaithfulness !== null) {
    said.push(
      `As judged by a language model: ${range(label.judgedFaithfulness, label.judgedFaithfulnessLow, label.judgedFaithfulnessHigh)}.`,
    );
  }
  return said.join(" ") || "How well the name fits was not tested: the cluster is too small.";
}

function fitBadge({ isFaithful }) {
  if (isFaithful === null) return el("span", { class: "badge " }, "name not tested");
  return isFaithful
    ? el("span", { class: "badge ok" }, "name fits")
    : el("span", { class: "badge bad" }, "name does not fit");
}

function clusterBody(model, label) {
  const parts = model.clusters
    .filter((part) => part.parentId === label.clusterId)
    .sort((a, b) => b.size - a.size);
  return el(
    "div",
    { class: "cluster-body" },
    label.description ? el("p", {}, bdi(label.description)) : null,
    el(
      "p",
      { class: "small dim" },
      "Key phrases: ",
      bdi(label.keyPhrases.join(", ")),
      `. Most frequent failure form: ${spaced(label.mainFailureForm)} (${percent(label.mainFailureFormShare)})`,
      label.mainSubject ? ["; most frequent subject: ", bdi(label.mainSubject)] : "",
      ". ",
      label.writtenBy === "key_phrases"
        ? "The name is made of its key phrases."
        : ["The name was written by ", bdi(label.writtenBy), "."],
      label.cause ? [" Suspected cause: ", bdi(spaced(label.cause)), " (a language model's guess)."] : "",
    ),
    el("p", { class: "small" }, fitInWords(label)),
    label.problem ? el("p", { class: "small warning" }, bdi(label.problem)) : null,
    el(
      "p",
      {},
      rowsLink(`All ${plural(label.size, "error")}`, {
        cluster: label.clusterId,
        rows: "cluster",
        region: "",
        hot: "",
      }),
    ),
    label.exemplars.length ? el("h4", {}, "Examples: the most central and the most diverse errors") : null,
    rowList(
      label.exemplars.map(({ row, role }) => ({ model, row, role })),
      6,
    ),
    parts.length ? [el("h4", {}, "Its parts"), parts.map((part) => clusterNode(model, part))] : null,
  );
}

function clusterNode(model, label) {
  const node = el(
    "details",
    { class: "cluster", "data-cluster": label.clusterId },
    el(
      "summary",
      {},
      el("span", { class: "cluster-bar", style: { width: `${Math.max(1, 100 * label.shareOfErrors)}%` } }),
      el("span", { class: "id" }, label.clusterId),
      " ",
      el("strong", {}, bdi(label.label)),
      el(
        "span",
        { class: "dim" },
        ` ${plural(label.size, "error")}, ${percent(label.shareOfErrors, 1)} of all`,
      ),
      " ",
      fitBadge(label),
    ),
  );
  const unfold = () => {
    if (node.childElementCount === 1) node.append(clusterBody(model, label));
  };
  node.addEventListener("toggle", () => {
    if (node.open) unfold();
  });
  node.openNow = () => {
    unfold();
    node.open = true;
  };
  return node;
}

// Open the chosen cluster, and those that it is part of.
function openChosen() {
  const parts = state.cluster.split(".");
  parts.forEach((_, depth) => {
    const id = parts.slice(0, depth + 1).join(".");
    [...$("clusters-list").querySelectorAll("details.cluster")]
      .find((node) => node.dataset.cluster === id)
      ?.openNow();
  });
}

export function drawClusters() {
  const model = chosenModel();
  const coarse = model.clusters.filter((label) => label.level === 1).sort((a, b) => b.size - a.size);
  const numbers = errorsOf(model).cluster;
  const alone = numbers.reduce((sum, number) => sum + (number < 0), 0);
  fill($("clusters-title"), "Clusters of ", bdi(model.model), "’s errors");
  fill(
    $("clusters-note"),
    coarse.length
      ? `${plural(numbers.length, "error")} in ${plural(coarse.length, "cluster")} of similar text${alone ? `, ${count(alone)} in none` : ""}; largest first. Clusters show where the model fails, not why.`
      : "There are no clusters: too few errors, or none alike.",
  );
  fill(
    $("clusters-list"),
    coarse.map((label) => clusterNode(model, label)),
  );
  if (state.cluster) openChosen();
}
