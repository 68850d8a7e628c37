// The panel beside the map of a benchmark: all regions, or the chosen region or hot region with its
// errors.

import { confidenceOf, everyPoint, models, partsOf, pointsIn, rateIn, regionOf, regions } from "./data.js";
import { confidenceThere } from "./confidence.js";
import { $, bdi, el, fill, rowsLink } from "./elements.js";
import { hotRegionClaim, hotRegionName } from "./hot_regions.js";
import { rowList } from "./rows.js";
import { chosenModel, chosenPoints, partsLine, ratesByModel, regionHead, regionName } from "./selection.js";
import { departureInWords, signatureOf, signaturesAreKnown } from "./signatures.js";
import { state } from "./state.js";
import { errorRow } from "./selected_rows.js";
import { count, percent, plural } from "./words.js";

function drawAllRegions(model) {
  const coarse = regions
    .filter((region) => region.level === 1)
    .map((region) => ({ region, ...rateIn(model, pointsIn(region.id)) }))
    .filter(({ asked }) => asked)
    .sort((a, b) => b.rate - a.rate);
  fill(
    $("region"),
    el("h3", {}, "Regions, highest error rate of ", bdi(model.model), " first"),
    el(
      "p",
      { class: "dim small" },
      "Choose a region here or on the map. The last column is errors / questions answered; click it to see the errors.",
    ),
    el(
      "ul",
      { class: "bars" },
      coarse.map(({ region, rate, wrong, asked }) =>
        el(
          "li",
          {},
          el(
            "a",
            { href: { region: region.id, rows: "", hot: "" }, class: "bar-name", "data-region": region.id },
            ...regionName(region.id),
          ),
          el(
            "span",
            { class: "bar-track" },
            el("span", { class: "bar-fill", style: { width: `${100 * rate}%` } }),
          ),
          el("span", { class: "number" }, percent(rate)),
          rowsLink(
            `${count(wrong)}/${count(asked)}`,
            { region: region.id, rows: "errors", hot: "" },
            `List the ${count(wrong)} errors in ${region.label}`,
          ),
        ),
      ),
    ),
  );
}

export function drawErrorRegion() {
  const model = chosenModel();
  const chosen = chosenPoints();
  if (!chosen) {
    drawAllRegions(model);
    return;
  }
  const { points: here, hot, owner } = chosen;
  const there = rateIn(model, here);
  const all = rateIn(model, everyPoint);
  const elsewhere = (all.wrong - there.wrong) / Math.max(all.asked - there.asked, 1);
  const region = hot ? null : regionOf(state.region);
  const signature = region && signaturesAreKnown() ? signatureOf(model, region.id) : null;
  const place = hot ? { hot: state.hot, owner: owner.model, region: "" } : { region: state.region, hot: "" };
  fill(
    $("region"),
    el(
      "div",
      { class: "panel-head" },
      hot
        ? el("h3", { class: "sentence" }, hotRegionName(chosen, model))
        : el("h3", {}, regionName(region.id)),
      el(
        "a",
        { href: { region: "", hot: "", rows: "" }, class: "close", "aria-label": "Show all regions" },
        "×",
      ),
    ),
    regionHead(region),
    el(
      "p",
      {},
      bdi(model.model),
      ` is wrong on ${count(there.wrong)} of ${plural(there.asked, "question")} here (`,
      el("strong", {}, percent(there.rate)),
      `); elsewhere its error rate is ${percent(elsewhere)}. `,
      signature ? departureInWords(signature) : "",
      hot && owner === model ? hotRegionClaim(hot) : "",
    ),
    confidenceOf(model) ? confidenceThere(model, here, { region: state.region, hot: state.hot }) : null,
    region ? partsLine(partsOf(region.id)) : null,
    models.length ? ratesByModel(here, place) : null,
    el("h4", {}, `Errors here (${count(there.wrong)})`),
    rowList(
      here.filter((point) => model.stateOf[point] === 1).map((point) => errorRow(model, point)),
      8,
    ),
  );
}
