// The heat map of a benchmark's models and regions: where each model does better or worse than its
// ability and the region's difficulty explain.

import { DIVERGING, EXCESS_COLOURS, RATE_COLOURS, SEQUENTIAL, STEPS, onColour } from "./colours.js";
import { data, models, nameOfRegion, regionOf } from "./data.js";
import { $, bdi, button, choice, dimSmall, el, fill, gradient, table } from "./elements.js";
import { regionName } from "./selection.js";
import { go, state } from "./state.js";
import { count, points } from "./words.js";

// Standard deviations from zero at which a departure is marked.
const CLEAR = 2;

const asCell = ([asked, wrong, excess, strength]) => ({ asked, wrong, excess, strength });

// How a model departs from what is expected of it in a region; null where that is not known.
export function signatureOf(model, id) {
  for (const level of data.signatures) {
    const row = level.regions.indexOf(id);
    const at = level.models.indexOf(models.indexOf(model));
    if (row >= 0 && at >= 0 && level.cells[row][at]) return asCell(level.cells[row][at]);
  }
  return null;
}

export const signaturesAreKnown = () => models.length >= data.fewestModels;

// The same in a sentence, with how sure it is.
export function departureInWords({ excess, strength }) {
  const size = Math.abs(100 * excess).toFixed(1);
  const said = `${size} percentage points ${excess > 0 ? "more" : "fewer"} errors than the model's ability and the region's difficulty explain`;
  const away = `${Math.abs(strength).toFixed(1)} standard deviations from zero`;
  return Math.abs(strength) >= CLEAR
    ? `That is ${said} (${away}). `
    : `That is ${said}, but it may be chance (only ${away}). `;
}

function cellNode(model, id, cell, asDeparture, widest) {
  if (!cell) return el("td", { class: "cell none" }, "–");
  const { asked, wrong, excess, strength } = asCell(cell);
  const shade = asDeparture ? 0.5 + (0.5 * excess) / widest : wrong / asked;
  const colours = asDeparture ? EXCESS_COLOURS : RATE_COLOURS;
  const clear = asDeparture && Math.abs(strength) >= CLEAR;
  return el(
    "td",
    { class: "cell" },
    el(
      "a",
      {
        href: { model: model.model, region: id, rows: "errors", hot: "" },
        class: clear ? "clear" : "",
        style: {
          background: colours[Math.round(shade * STEPS)] ?? EXCESS_COLOURS[STEPS],
          color: onColour(asDeparture ? shade : 0.2 + 0.7 * shade),
        },
        title: `${model.model}, ${nameOfRegion(id)}: ${count(wrong)} of ${count(asked)} wrong; ${points(excess)} percentage points (${Math.abs(strength).toFixed(1)} standard deviations)`,
      },
      asDeparture ? points(excess, 0) : ((100 * wrong) / asked).toFixed(0),
      clear ? el("span", { "aria-hidden": "true" }, " •") : "",
    ),
  );
}

function drawSignatureControls(level, asDeparture) {
  const levels = data.signatures.map((signature) => signature.level);
  fill(
    $("signature-controls"),
    choice(
      "Regions",
      ...levels.map((number) =>
        button(["coarse", "fine"][number - 1] ?? "finest", number === level, () =>
          go({ level: String(number) }),
        ),
      ),
    ),
    signaturesAreKnown()
      ? choice(
          "Cells",
          button("departure", asDeparture, () => go({ cells: "" })),
          button("error rate", !asDeparture, () => go({ cells: "rate" })),
        )
      : null,
    el(
      "span",
      { class: "legend-inline" },
      asDeparture ? ["better ", gradient(DIVERGING), " worse"] : ["0 % ", gradient(SEQUENTIAL), " 100 %"],
    ),
  );
  fill(
    $("signature-note"),
    asDeparture
      ? "Error rate less the rate that the model's ability and the region's difficulty explain together, in percentage points (a mixed model; small regions are shrunk toward 0). Bold with a dot: more than 2 standard deviations from 0. The rest may be chance, and among many cells a few pass 2 by chance too. Similar rows and similar columns are next to each other. Click a cell to see the errors in it."
      : `Error rate in each region, in percent. ${signaturesAreKnown() ? "" : `Departures from what ability and difficulty explain need at least ${data.fewestModels} models. `}Click a cell to see the errors in it.`,
  );
}

export function drawSignatures() {
  const signature = data.signatures.find((each) => String(each.level) === state.level) || data.signatures[0];
  if (!signature) {
    fill($("signature-note"), "The map has no regions: there are too few questions, or none are alike.");
    fill($("signature-controls"));
    fill($("signature-table"));
    return;
  }
  const asDeparture = signaturesAreKnown() && state.cells !== "rate";
  drawSignatureControls(signature.level, asDeparture);
  const cells = signature.cells.flat().filter(Boolean).map(asCell);
  const widest = Math.max(0.05, ...cells.map((cell) => Math.abs(cell.excess)));
  const columns = signature.models.map((number) => models[number]);
  const heads = [
    el("th", { scope: "col", class: "corner" }, "Region (questions)"),
    ...columns.map((model) =>
      el(
        "th",
        { scope: "col", class: "upright" },
        el("a", { href: { model: model.model, rows: "", hot: "" } }, bdi(model.model)),
      ),
    ),
  ];
  const rows = signature.regions.map((id, row) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row" },
        el("a", { href: { region: id, rows: "", hot: "" }, "data-to": "map" }, ...regionName(id)),
        dimSmall(` (${count(regionOf(id)?.size ?? 0)})`),
      ),
      columns.map((model, at) => cellNode(model, id, signature.cells[row][at], asDeparture, widest)),
    ),
  );
  fill($("signature-table"), table("Departures of models by region", heads, rows));
  $("signature-table").firstChild.classList.add("heat");
}
