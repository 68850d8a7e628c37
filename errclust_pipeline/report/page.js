// The report's script. Third-party text reaches the page through text nodes only: `el` and `bdi`
// set no markup, and the page's policy would let none run.
(() => {
"use strict";

const started = performance.now();
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("numbers").textContent);
const SVG = "http://www.w3.org/2000/svg";

// ---------------------------------------------------------------------- elements and words

// What a link changes of the state: its address is made anew when it is followed.
const changes = new WeakMap();

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "style") Object.assign(node.style, value);
    else if (name === "href") { node.href = address(value); changes.set(node, value); }
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Third-party text: whatever direction it has or switches to ends with the element.
const bdi = (text, attributes) => el("bdi", attributes, text === null || text === undefined ? "–" : String(text));
const fill = (node, ...children) => { node.replaceChildren(...children.flat(3).filter((one) => one !== null && one !== undefined)); };

const count = (number) => number.toLocaleString("en-US");
const percent = (share, digits = 0) =>
  share === null || share === undefined || Number.isNaN(share) ? "–" : `${(100 * share).toFixed(digits)}\u00a0%`;
const points = (share, digits = 1) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(100 * share).toFixed(digits)}`;
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
function chance(p) {
  if (p === null || p === undefined) return "–";
  if (p < 1e-300) return "< 1e-300";
  return p < 0.001 ? p.toExponential(0) : p.toFixed(3);
}
const form = (name) => name.replaceAll("_", " ");

// ---------------------------------------------------------------------------------- columns

function bytes(text) {
  const binary = atob(text);
  const found = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) found[at] = binary.charCodeAt(at);
  return found;
}
const column = (text, Type) => (text === null || text === undefined ? null : new Type(bytes(text).buffer));

const N = data.points;
const models = data.models;
const regions = data.regions;
const regionNumber = new Map(regions.map((region, number) => [region.id, number]));
const regionOf = column(data.map.region, Int16Array);
const mapX = column(data.map.x, Uint16Array);
const mapY = column(data.map.y, Uint16Array);
const questions = {
  subject: column(data.questions.subject, Int16Array),
  point: column(data.questions.point, Int32Array),
  ofPoint: column(data.questions.ofPoint, Int32Array),
};
// A report is of a benchmark, whose models err, or of a battle set, whose models beat each other.
const ofBattles = data.kind === "battles";
if (!ofBattles) for (const model of models) model.stateOf = column(model.state, Int8Array);

// Of a model, unpacked when it is first looked at.
const once = (model, name, make) => (model[`_${name}`] ??= make());
const errorsOf = (model) => once(model, "errors", () => ({
  question: column(model.errors.question, Int32Array),
  form: column(model.errors.form, Uint8Array),
  cluster: column(model.errors.cluster, Int16Array),
  ofPoint: column(model.errors.ofPoint, Int32Array),
}));
const scaleOf = (model, k) => {
  const scale = model.scales.find((one) => one.k === k);
  return scale && once(scale, "columns", () => ({
    rate: column(scale.rate, Uint8Array),
    hot: column(scale.hot, Int8Array),
    excess: column(scale.excess, Uint8Array),
    beyond: column(scale.beyond, Int8Array),
  }));
};
const NO_RATE = 255;
// How sure a model is; null where that is not known.
const sureOf = (model) => (model.uncertainty.absent ? null : once(model, "sure", () => ({
  ...model.uncertainty,
  around: column(model.uncertainty.around, Uint8Array),
  hot: column(model.uncertainty.hot, Int8Array),
  size: column(model.uncertainty.size, Uint8Array),
  said: column(model.uncertainty.said, Uint8Array),
  corner: column(model.uncertainty.corner, Int8Array),
  confidentlyWrong: model.uncertainty.corners.indexOf("confident_wrong"),
})));
const someAreSure = !ofBattles && models.some((model) => sureOf(model));

// Each region's points, near-duplicates collapsed; a region has those of its parts.
const pointsOfRegion = new Map(regions.map((region) => [region.id, []]));
for (let point = 0; point < N; point++) {
  let id = regionOf[point] < 0 ? null : regions[regionOf[point]].id;
  while (id) {
    pointsOfRegion.get(id)?.push(point);
    id = id.includes(".") ? id.slice(0, id.lastIndexOf(".")) : null;
  }
}
const everyPoint = Array.from({ length: N }, (_, point) => point);
const pointsIn = (id) => (id ? pointsOfRegion.get(id) || [] : everyPoint);
const nameOfRegion = (id) => {
  const found = regions[regionNumber.get(id)];
  return found ? found.label : id;
};
function rateIn(model, here) {
  let wrong = 0, asked = 0;
  for (const point of here) {
    const state = model.stateOf[point];
    if (state >= 0) { asked++; wrong += state; }
  }
  return { wrong, asked, rate: asked ? wrong / asked : NaN };
}

// ------------------------------------------------------------------------------------ texts

let texts = null;
async function unpackTexts() {
  const stream = new Blob([bytes($("texts").textContent)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  texts = JSON.parse(await new Response(stream).text());
  $("texts").textContent = "";
}
let textsAreThere = null;
// Once, and not before the pictures are drawn.
const withTexts = () => (textsAreThere ??= unpackTexts());

// ------------------------------------------------------------------------------------ state

// Everything chosen stands in the address, so that a link says it and the back button undoes it.
const DEFAULTS = {
  model: "", with: "", region: "", show: "errors", k: "", level: "1", cells: "", cluster: "",
  rows: "", hot: "", owner: "", judged: "", subject: "",
};
let state = { ...DEFAULTS };

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const read = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (found.has(name)) read[name] = found.get(name);
  return read;
}
function address(change) {
  const next = { ...state, ...change };
  if (!next.hot) next.owner = "";
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(next)) if (value && value !== DEFAULTS[name]) said.set(name, value);
  return `#${said.toString()}`;
}
function go(change) {
  const next = address(change);
  if (next === (location.hash || "#")) return false;
  // An empty address would send the page to its top.
  location.hash = next === "#" ? "#model=" : next;
  return true;
}

const byName = (name) => models.findIndex((model) => model.model === name);
const chosenModel = () => models[Math.max(byName(state.model), 0)];
function otherModel() {
  const own = Math.max(byName(state.model), 0);
  const other = byName(state.with);
  return other >= 0 && other !== own ? models[other] : models[own === 0 ? 1 : 0];
}
const hasDifficulty = (model) => model.scales.some((scale) => scale.excess !== null);
// What the map of errors shows: errors, errors beyond difficulty, or the size of conformal sets.
function shown() {
  if (state.show === "sets" && sureOf(chosenModel())) return "sets";
  return beyond() ? "beyond" : "errors";
}
function chosenScale(model) {
  const scales = model.scales.map((scale) => scale.k);
  if (!scales.length) return null;
  const wanted = Number(state.k) || 100;
  return scales.reduce((best, k) => (Math.abs(k - wanted) < Math.abs(best - wanted) ? k : best));
}
const beyond = () => state.show === "beyond" && hasDifficulty(chosenModel());

// ----------------------------------------------------------------------------------- colours

// Told apart by lightness, so by anyone: pale to dark, and blue to orange by way of pale.
const SEQUENTIAL = ["#d9e1ea", "#f2d596", "#ee9f40", "#c85f14", "#7d2c05"];
const DIVERGING = ["#0b4a8f", "#6fa5d8", "#e3e1dd", "#f0a648", "#a8480a"];
const mix = (stops, at) => {
  const place = Math.min(Math.max(at, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const share = place - low;
  const [a, b] = [stops[low], stops[low + 1]].map((hex) =>
    [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));
  return `rgb(${a.map((value, at) => Math.round(value + (b[at] - value) * share)).join(",")})`;
};
const STEPS = 40;
const ramp = (stops) => Array.from({ length: STEPS + 1 }, (_, step) => mix(stops, step / STEPS));
const RATE_COLOURS = ramp(SEQUENTIAL);
const EXCESS_COLOURS = ramp(DIVERGING);
const onColour = (at) => (at > 0.8 || at < 0.12 ? "#fff" : "#1b2430");

function gradient(stops) {
  const id = `ramp-${stops[0].slice(1)}`;
  const bar = svg("svg", { viewBox: "0 0 120 10", width: 120, height: 10, "aria-hidden": "true" });
  const ramp = svg("linearGradient", { id });
  stops.forEach((stop, at) => ramp.append(svg("stop", { offset: at / (stops.length - 1), "stop-color": stop })));
  bar.append(svg("defs", {}, ramp), svg("rect", { width: 120, height: 10, rx: 2, fill: `url(#${id})` }));
  return bar;
}

// ------------------------------------------------------------------------------------- pieces

const rowsLink = (text, change, label) =>
  el("a", { href: change, class: "rows-link", "aria-label": label }, text);
const button = (text, pressed, onclick) =>
  el("button", { type: "button", "aria-pressed": String(pressed), onclick }, text);
const choice = (label, ...buttons) =>
  el("div", { class: "choice", role: "group", "aria-label": label }, el("span", {}, label), el("span", { class: "segments" }, ...buttons));

function interval(low, middle, high, least, most, zero) {
  const [wide, tall] = [140, 18];
  const at = (value) => 4 + (wide - 8) * (Math.min(Math.max(value, least), most) - least) / (most - least || 1);
  const picture = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall, "aria-hidden": "true", class: "interval" });
  picture.append(svg("line", { x1: 4, x2: wide - 4, y1: 9, y2: 9, stroke: "#dde3ea" }));
  if (zero !== undefined) picture.append(svg("line", { x1: at(zero), x2: at(zero), y1: 1, y2: 17, stroke: "#8a96a5", "stroke-dasharray": "2 2" }));
  picture.append(
    svg("line", { x1: at(low), x2: at(high), y1: 9, y2: 9, stroke: "#1f5fa8", "stroke-width": 3, "stroke-linecap": "round" }),
    svg("circle", { cx: at(middle), cy: 9, r: 4.5, fill: "#0b4a8f" }));
  return picture;
}

function table(caption, heads, rows) {
  // On a phone each row is a card, whose cells say by themselves what they are.
  for (const row of rows) [...row.children].forEach((cell, at) => { if (typeof heads[at] === "string") cell.dataset.label = heads[at]; });
  const numeric = (at) => rows[0]?.children[at]?.classList.contains("number");
  return el("table", {},
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", {}, el("tr", {}, heads.map((head, at) =>
      typeof head === "string" ? el("th", { scope: "col", class: numeric(at) ? "number" : "" }, head) : head))),
    el("tbody", {}, rows));
}

// What a dot of the map is.
const thing = ofBattles ? "prompt" : "question";
const subjectOfPoint = column(data.questions.subjectOfPoint, Int16Array);
const subjectNumber = () => (ofBattles && state.subject ? data.questions.subjects.indexOf(state.subject) : -1);
const subjectAt = (point) => {
  const question = questions.ofPoint[point];
  return data.questions.subjects[subjectOfPoint ? subjectOfPoint[point] : question < 0 ? -1 : questions.subject[question]] ?? null;
};

const regionName = (id) => [el("span", { class: "id" }, id), " ", bdi(nameOfRegion(id))];

// -------------------------------------------------------------------------------- leaderboard

const moran = (value, z) => (value === null || z === null ? "–" : `${value.toFixed(3)} (z ${z.toFixed(0)})`);
const promise = () => 1 - models.map(sureOf).find(Boolean).summary.alpha;

function drawLeaderboard() {
  fill($("leaderboard-note"),
    "Share of distinct questions answered rightly, with its 95 % interval (cluster-robust over regions of the map, since questions alike are answered alike). ",
    "Concentration: Moran's I of the errors at the widest neighbourhood and how many standard deviations it is above chance (z, exact permutation moments); above about 2, errors lie together on the map.",
    data.artefactsLeftOut ? " Responses that nothing could be read off are left out of the map's statistics." : "",
    someAreSure
      ? ` Says: mean probability of the option chosen. Set size: options that a conformal set needs to hold the right one with the promised probability of ${percent(promise())} (mean of LAC and APS, in the form of LLM-Uncertainty-Bench); covered: how often it does; UAcc: accuracy × √options / set size.`
      : ` How sure the models are, is not known. ${models[0].uncertainty.absent}`);
  const lows = models.map((model) => model.low ?? model.accuracy), highs = models.map((model) => model.high ?? model.accuracy);
  const [least, most] = [Math.max(0, Math.min(...lows) - 0.02), Math.min(1, Math.max(...highs) + 0.02)];
  const rows = models.map((model, place) => {
    const own = rateIn(model, everyPoint);
    const known = model.autocorrelation.filter((one) => one.mark === "errors" && one.moran !== null && one.z !== null);
    const widest = known.reduce((best, one) => (!best || one.k > best.k ? one : best), null);
    return el("tr", { "data-model": model.model, class: model === chosenModel() ? "chosen" : "" },
      el("td", { class: "number" }, String(place + 1)),
      el("th", { scope: "row" }, el("a", { href: { model: model.model, rows: "", hot: "" } }, bdi(model.model))),
      el("td", { class: "number strong" }, percent(model.accuracy, 1)),
      el("td", { class: "nowrap whole" }, interval(model.low ?? model.accuracy, model.accuracy, model.high ?? model.accuracy, least, most),
        el("span", { class: "dim small" }, ` ${percent(model.low, 1)} to ${percent(model.high, 1)}`)),
      el("td", { class: "number" }, rowsLink(count(own.wrong), { model: model.model, rows: "errors", region: "", hot: "" }, `List the ${count(own.wrong)} errors of ${model.model}`),
        el("span", { class: "dim" }, ` of ${count(own.asked)}`)),
      el("td", { class: "number" }, percent(model.artefacts, 1)),
      el("td", { class: "number nowrap" }, widest ? moran(widest.moran, widest.z) : "–"),
      someAreSure ? [
        el("td", { class: "number" }, percent(model.confidence, 1)),
        el("td", { class: "number" }, model.setSize === null ? "–" : rowsLink(model.setSize.toFixed(2), { model: model.model, rows: "unsure", region: "", hot: "" }, `List the questions of ${model.model}, least sure first`)),
        el("td", { class: "number" }, percent(model.coverage, 1)),
        el("td", { class: "number" }, model.uacc === null ? "–" : (100 * model.uacc).toFixed(1)),
      ] : null);
  });
  fill($("leaderboard-table"), table("Leaderboard", ["", "Model", "Accuracy", "95 % interval", "Errors", "Unreadable", "Concentration", ...(someAreSure ? ["Says", "Set size", "Covered", "UAcc"] : [])], rows));
}

// --------------------------------------------------------------------------------- signatures

function drawSignatures() {
  const levels = data.signatures.map((one) => one.level);
  const found = data.signatures.find((one) => String(one.level) === state.level) || data.signatures[0];
  if (!found) {
    fill($("signature-note"), "The map has no regions: the questions are too few, or none are alike.");
    fill($("signature-controls")); fill($("signature-table"));
    return;
  }
  const enough = models.length >= data.fewestModels;
  const asDeparture = enough && state.cells !== "rate";
  fill($("signature-controls"),
    choice("Regions", ...levels.map((level) => button(level === 1 ? "coarse" : level === 2 ? "fine" : "finest", level === found.level, () => go({ level: String(level) })))),
    enough ? choice("Cells", button("departure", asDeparture, () => go({ cells: "" })), button("error rate", !asDeparture, () => go({ cells: "rate" }))) : null,
    el("span", { class: "legend-inline" },
      asDeparture ? ["better ", gradient(DIVERGING), " worse"] : ["0 % ", gradient(SEQUENTIAL), " 100 %"]));
  fill($("signature-note"), asDeparture
    ? "Percentage points of error rate beyond what the model's ability and the region's difficulty explain together (a mixed model that pools small regions toward 0). Bold with a dot: more than 2 standard deviations from 0; the rest may be chance, and of many cells a few pass 2 by chance too. Rows and columns that are alike stand together. A cell opens the errors behind it."
    : `Error rate in each region. ${enough ? "" : `Whether a model departs from what its ability and the region explain cannot be told with fewer than ${data.fewestModels} models. `}A cell opens the errors behind it.`);
  const widest = asDeparture
    ? Math.max(0.05, ...found.cells.flat().filter(Boolean).map((cell) => Math.abs(cell[2]))) : 1;
  const heads = [el("th", { scope: "col", class: "corner" }, "Region"),
    ...found.models.map((number) => el("th", { scope: "col", class: "upright" }, el("a", { href: { model: models[number].model, rows: "", hot: "" } }, bdi(models[number].model))))];
  const rows = found.regions.map((id, row) => el("tr", {},
    el("th", { scope: "row" }, el("a", { href: { region: id, rows: "", hot: "" }, "data-to": "map" }, ...regionName(id)),
      el("span", { class: "dim small" }, ` ${count(regions[regionNumber.get(id)]?.size ?? 0)}`)),
    found.cells[row].map((cell, at) => {
      const model = models[found.models[at]];
      if (!cell) return el("td", { class: "cell none" }, "–");
      const [asked, wrong, excess, strength] = cell;
      const shade = asDeparture ? 0.5 + 0.5 * excess / widest : wrong / asked;
      const clear = asDeparture && Math.abs(strength) >= 2;
      const said = asDeparture ? `${points(excess, 0)}` : `${(100 * wrong / asked).toFixed(0)}`;
      return el("td", { class: "cell" }, el("a", {
        href: { model: model.model, region: id, rows: "errors", hot: "" },
        class: clear ? "clear" : "",
        style: { background: (asDeparture ? EXCESS_COLOURS : RATE_COLOURS)[Math.round(shade * STEPS)] ?? EXCESS_COLOURS[STEPS], color: onColour(asDeparture ? shade : 0.2 + 0.7 * shade) },
        title: `${model.model}, ${nameOfRegion(id)}: ${count(wrong)} wrong of ${count(asked)}; ${points(excess)} points (${Math.abs(strength).toFixed(1)} standard deviations)`,
      }, said, clear ? el("span", { "aria-hidden": "true" }, " •") : ""));
    })));
  fill($("signature-table"), table("Signatures", heads, rows));
  $("signature-table").firstChild.classList.add("heat");
}

// ---------------------------------------------------------------------------------------- map

const view = { scale: 1, x: 0.5, y: 0.5 };
let drawn = null;

function drawMapControls() {
  const model = chosenModel();
  const k = chosenScale(model);
  const chosen = el("select", { id: "region-choice", onchange: (event) => go({ region: event.target.value, rows: "", hot: "" }) },
    el("option", { value: "" }, "all regions"),
    regions.map((region) => el("option", { value: region.id }, `${" ".repeat(region.level - 1)}${region.id} ${region.label}`)));
  chosen.value = pointsOfRegion.has(state.region) ? state.region : "";
  fill($("map-controls"),
    choice("Show", button("error rate", shown() === "errors", () => go({ show: "errors" })),
      hasDifficulty(model) ? button("beyond difficulty", shown() === "beyond", () => go({ show: "beyond" })) : null,
      sureOf(model) ? button("set size", shown() === "sets", () => go({ show: "sets" })) : null),
    data.scales.length > 1 && shown() !== "sets" ? choice("Neighbours", ...data.scales.map((one) => button(String(one), one === k, () => go({ k: String(one) })))) : null,
    el("label", { class: "choice" }, el("span", {}, "Region"), chosen));
  if (shown() === "sets") {
    fill($("map-title"), "The map: where ", bdi(model.model), " is unsure");
    fill($("map-claim"), "Size of conformal sets, as a share of the options, among each question's neighbours: the larger, the less it knows. ", setsConcentrate(sureOf(model)));
    return;
  }
  fill($("map-title"), "The map: where ", bdi(model.model), " errs");
  const test = model.autocorrelation.find((one) => one.mark === (beyond() ? "residual" : "errors") && one.k === k);
  fill($("map-claim"), beyond()
    ? "Errors beyond what difficulty explains, which is told from the other models. "
    : "Share of errors among each question's neighbours. ",
    test && test.moran !== null && test.z !== null
      ? (test.z >= 2
        ? `They concentrate: Moran's I is ${test.moran.toFixed(3)} at ${k} neighbours, ${test.z.toFixed(0)} standard deviations above chance (p ${chance(test.p)} by permutation).`
        : `There is no sure sign that they concentrate: Moran's I is ${test.moran.toFixed(3)} at ${k} neighbours (z ${test.z.toFixed(1)}, p ${chance(test.p)} by permutation).`)
      : "Whether they concentrate is not known.",
    k === null ? " The local statistics of this model were not computed." : "");
}

function colouring() {
  const model = chosenModel(), k = chosenScale(model);
  const scale = k === null ? null : scaleOf(model, k);
  const sure = sureOf(model);
  if (shown() === "sets") {
    const bounds = once(sure, "bounds", () => ownRange(sure.around));
    return { values: sure.around, hot: sure.hot, colours: RATE_COLOURS, stops: SEQUENTIAL, low: bounds[0], high: bounds[1],
      words: [`sets of ${percent(bounds[0] / 250)}`, `${percent(bounds[1] / 250)} of the options`], of: "set size over options",
      hotWords: "with larger sets around than chance has it", coldWords: "with smaller ones",
      test: `Standard score of each question's ${sure.k} neighbours under conditional permutation (Getis-Ord Gi, exact moments)`,
      said: (value) => `sets of ${percent(value / 250)} of the options around it` };
  }
  if (!scale) return null;
  if (beyond()) {
    return { values: scale.excess, hot: scale.beyond, colours: EXCESS_COLOURS, stops: DIVERGING, low: 62, high: 188,
      words: ["25 points fewer", "25 more"], of: "errors beyond difficulty",
      hotWords: "with more errors around than difficulty explains", coldWords: "with fewer",
      test: `Exact Poisson-binomial test of each question's ${k} neighbours`,
      said: (value) => `${points(value / 250 - 0.5, 0)} points of error rate around it beyond difficulty` };
  }
  const bounds = once(scale, "bounds", () => ownRange(scale.rate));
  return { values: scale.rate, hot: scale.hot, colours: RATE_COLOURS, stops: SEQUENTIAL, low: bounds[0], high: bounds[1],
    words: bounds.map((one) => percent(one / 250)), of: "error rate",
    hotWords: "with more errors around than chance has it", coldWords: "with fewer",
    test: `Exact hypergeometric test of each question's ${k} neighbours`,
    said: (value) => `${percent(value / 250)} errors around it` };
}

// Of one model alone: a good model's map would be pale by the scale of all.
function ownRange(values) {
  const found = [...values].filter((rate) => rate !== NO_RATE).sort((a, b) => a - b);
  const low = found[Math.floor(found.length * 0.01)] ?? 0;
  return [low, Math.max(found[Math.floor(found.length * 0.99)] ?? 250, low + 1)];
}

function chosenPoints() {
  if (state.hot) {
    const [basis, rank] = state.hot.split(/-(?=\d+$)/);
    const owner = models[byName(state.owner)] ?? chosenModel();
    const places = ofBattles ? [] : [...owner.hotRegions, ...(sureOf(owner)?.places ?? [])];
    const found = places.find((one) => one.basis === basis && String(one.rank) === rank);
    if (found) return { points: [...once(found, "points", () => column(found.points, Int32Array))], hot: found, owner };
  }
  if (subjectNumber() >= 0) return { points: everyPoint.filter((point) => subjectOfPoint[point] === subjectNumber()), hot: null };
  return pointsOfRegion.has(state.region) ? { points: pointsOfRegion.get(state.region), hot: null } : null;
}

const frame = $("map-frame"), canvas = $("canvas");
let wide = 0, tall = 0, placesX = null, placesY = null;

function place() {
  const density = Math.min(window.devicePixelRatio || 1, 2);
  wide = frame.clientWidth; tall = frame.clientHeight;
  canvas.width = Math.round(wide * density); canvas.height = Math.round(tall * density);
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  const [spanX, spanY] = extent();
  const unit = view.scale * Math.min((wide - 36) / spanX[1], (tall - 36) / spanY[1]);
  placesX ??= new Float32Array(N); placesY ??= new Float32Array(N);
  for (let point = 0; point < N; point++) {
    placesX[point] = wide / 2 + (mapX[point] - spanX[0] - spanX[1] * view.x) * unit;
    placesY[point] = tall / 2 - (mapY[point] - spanY[0] - spanY[1] * view.y) * unit;
  }
  return context;
}
// A few questions far off would leave the rest a small heap.
const extent = () => once(data, "extent", () => [mapX, mapY].map((values) => {
  const sorted = Array.from(values).sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor(N * 0.002)], sorted[Math.ceil(N * 0.998) - 1] ?? sorted[N - 1]];
  return [low, Math.max(high - low, 1)];
}));

function drawMap() {
  if (!mapX) {
    frame.hidden = true;
    fill($("legend"), el("p", { class: "dim" }, "There is no picture of the map: its layout is switched off in the settings (clustering.layout). The regions and all statistics are here."));
    return;
  }
  const found = page.colouring();
  const context = place();
  context.clearRect(0, 0, wide, tall);
  const chosen = chosenPoints();
  const inside = chosen ? new Uint8Array(N) : null;
  if (chosen) for (const point of chosen.points) inside[point] = 1;
  const size = Math.min(6, Math.max(1.9, 120 / Math.sqrt(N)) * Math.sqrt(view.scale)) * Math.min(1, 0.45 + wide / 1300);
  // Dots of one look are one path: quick enough to redraw at every move.
  const looks = new Map();
  for (let point = 0; point < N; point++) {
    const x = placesX[point], y = placesY[point];
    if (x < -9 || y < -9 || x > wide + 9 || y > tall + 9) continue;
    let colour = STEPS + 1, kind = 1;
    if (found && found.values[point] !== NO_RATE) {
      colour = Math.round(STEPS * Math.min(Math.max((found.values[point] - found.low) / (found.high - found.low), 0), 1));
      kind = (found.hot ? found.hot[point] : 0) + 1;
    }
    const dimmed = inside && !inside[point] ? 0 : 1;
    // Drawn in this order: what is neither hot nor cold lies below.
    const order = dimmed * 10000 + (kind === 1 ? 0 : kind === 0 ? 1000 : 2000) + colour;
    let path = looks.get(order);
    if (!path) looks.set(order, (path = []));
    path.push(x, y);
  }
  for (const order of [...looks.keys()].sort((a, b) => a - b)) {
    const path = looks.get(order), dimmed = order < 10000;
    const kind = Math.floor((order % 10000) / 1000), colour = order % 1000;
    const radius = kind === 0 ? size * 0.85 : size * 1.2;
    context.beginPath();
    for (let at = 0; at < path.length; at += 2) {
      context.moveTo(path[at] + radius, path[at + 1]);
      if (kind === 1) {  // cold: a square, so that shape says it too
        context.rect(path[at] - radius * 0.9, path[at + 1] - radius * 0.9, radius * 1.8, radius * 1.8);
      } else context.arc(path[at], path[at + 1], radius, 0, 6.2832);
    }
    context.fillStyle = colour > STEPS ? "#c9d0d8" : found.colours[colour];
    context.globalAlpha = dimmed ? 0.16 : kind === 0 ? 0.85 : 1;
    context.fill();
    if (kind !== 0 && !dimmed && size > 1.3) {
      context.lineWidth = size > 3 ? 0.8 : 0.5;
      context.strokeStyle = kind === 2 ? "#4a1a02" : "#0b4a8f";
      context.stroke();
    }
  }
  context.globalAlpha = 1;
  drawNames(context, chosen);
  const model = chosenModel();
  canvas.setAttribute("aria-label", `Map of ${plural(N, thing)}, coloured by ${found ? found.of : "nothing"} of ${model.model}. The region list above and the tables say the same in words.`);
  if (found) {
    let hot = 0, cold = 0;
    if (found.hot) for (let point = 0; point < N; point++) { hot += found.hot[point] === 1; cold += found.hot[point] === -1; }
    fill($("legend"),
      el("span", { class: "nowrap" }, `${found.words[0]} `, gradient(found.stops), ` ${found.words[1]}`),
      found.hot ? [
        el("span", {}, el("span", { class: `key hot ${ofBattles ? "wins" : ""}` }), ` ${found.names?.[0] ?? "hot"}: ${plural(hot, thing)} ${found.hotWords}`),
        el("span", {}, el("span", { class: `key cold ${ofBattles ? "wins" : ""}` }), ` ${found.names?.[1] ?? "cold"}: ${count(cold)} ${found.coldWords}`),
        el("span", { class: "dim small" }, `${found.test}; false discovery rate below ${percent(data.alpha)} over all ${thing}s (Benjamini-Hochberg).`),
      ] : el("span", { class: "dim small" }, found.test));
  } else fill($("legend"));
}

function drawNames(context, chosen) {
  const level = view.scale > 2.4 ? 2 : 1;
  const named = regions.filter((region) => region.level === level || (level === 2 && region.level === 1 && !regions.some((part) => part.parent === region.id)));
  const boxes = [];
  const put = (id, strong) => {
    const here = pointsIn(id);
    if (!here.length) return;
    const middle = (places) => { const sorted = here.map((point) => places[point]).sort((a, b) => a - b); return sorted[sorted.length >> 1]; };
    const label = nameOfRegion(id);
    const short = label.length > 30 ? `${label.slice(0, 29)}…` : label;
    context.font = `${strong ? 700 : 600} ${wide < 500 ? 11 : 12}px system-ui, sans-serif`;
    const half = context.measureText(short).width / 2;
    const x = Math.min(Math.max(middle(placesX), half + 4), wide - half - 4), y = middle(placesY) - 13;
    if (y < 8 || y > tall - 8 || middle(placesX) < 0 || middle(placesX) > wide) return;
    const box = [x - half - 3, y - 9, x + half + 3, y + 9];
    if (!strong && boxes.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return;
    boxes.push(box);
    context.textAlign = "center"; context.textBaseline = "middle"; context.lineJoin = "round";
    context.strokeStyle = "rgba(255,255,255,.92)"; context.lineWidth = 4;
    context.strokeText(short, x, y);
    context.fillStyle = strong ? "#0b4a8f" : "#1b2430";
    context.fillText(short, x, y);
  };
  if (state.region && !state.subject && !chosen?.hot && pointsOfRegion.has(state.region)) put(state.region, true);
  if (chosen) return;
  for (const region of [...named].sort((a, b) => b.size - a.size)) put(region.id, false);
}

let waiting = false;
function redraw() {
  if (waiting || !mapX) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawMap(); });
}

function nearest(x, y) {
  let best = -1, least = 14 * 14;
  for (let point = 0; point < N; point++) {
    const dx = placesX[point] - x, dy = placesY[point] - y, distance = dx * dx + dy * dy;
    if (distance < least) { least = distance; best = point; }
  }
  return best;
}

function showHover(point, x, y) {
  const hover = $("hover");
  if (point < 0) { hover.hidden = true; return; }
  const question = questions.ofPoint[point];
  const subject = subjectAt(point);
  const said = texts && question >= 0 ? texts.questions[question] : "…";
  const found = page.colouring();
  const value = found && found.values[point] !== NO_RATE ? found.said(found.values[point]) : null;
  fill(hover,
    el("p", { class: "hover-question" }, bdi(said.length > 240 ? `${said.slice(0, 240)}…` : said)),
    el("p", { class: "dim small" }, subject ? [bdi(subject), " · "] : "", regionOf[point] >= 0 ? regionName(regions[regionOf[point]].id) : "in no region", value ? ` · ${value}` : ""),
    page.whoFared(point));
  hover.hidden = false;
  const [across, down] = [hover.offsetWidth, hover.offsetHeight];
  hover.style.left = `${Math.max(4, Math.min(x + 14, wide - across - 4))}px`;
  hover.style.top = `${y + 16 + down > tall ? Math.max(4, y - down - 12) : y + 16}px`;
}

function whoFailed(point, without) {
  return el("ul", { class: "who" }, models.filter((model) => model !== without).map((model) => {
    const told = model.stateOf[point];
    return el("li", { class: told === 1 ? "wrong" : told === 0 ? "right" : "unasked" },
      el("span", { "aria-hidden": "true" }, told === 1 ? "✗ " : told === 0 ? "✓ " : "· "),
      bdi(model.model), el("span", { class: "visually-hidden" }, told === 1 ? " wrong" : told === 0 ? " right" : " not counted"));
  }));
}

function zoom(factor, x = wide / 2, y = tall / 2) {
  const [spanX, spanY] = extent();
  const unit = () => view.scale * Math.min((wide - 36) / spanX[1], (tall - 36) / spanY[1]);
  const before = unit();
  view.scale = Math.min(Math.max(view.scale * factor, 1), 40);
  const after = unit();
  // What lies under the pointer stays there.
  view.x += (x - wide / 2) * (1 / before - 1 / after) / spanX[1];
  view.y -= (y - tall / 2) * (1 / before - 1 / after) / spanY[1];
  keepInside();
}
function pan(dx, dy) {
  const [spanX, spanY] = extent();
  const unit = view.scale * Math.min((wide - 36) / spanX[1], (tall - 36) / spanY[1]);
  view.x -= dx / unit / spanX[1];
  view.y += dy / unit / spanY[1];
  keepInside();
}
function keepInside() {
  if (view.scale === 1) { view.x = 0.5; view.y = 0.5; }
  view.x = Math.min(Math.max(view.x, 0), 1);
  view.y = Math.min(Math.max(view.y, 0), 1);
  $("hover").hidden = true;
  redraw();
}

function listenToMap() {
  const pointers = new Map();
  let moved = 0;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event), before = pointers.get(event.pointerId);
    if (!before) { if (event.pointerType === "mouse") { withTexts(); showHover(nearest(x, y), x, y); } return; }
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    const others = [...pointers].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const [other] = others[0].slice(1);
      const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
      zoom(distance([x, y], other) / distance(before, other), (x + other[0]) / 2, (y + other[1]) / 2);
    } else if (moved > 4) pan(x - before[0], y - before[1]);
    pointers.set(event.pointerId, [x, y]);
  });
  const up = (event) => {
    const alone = pointers.size === 1 && pointers.has(event.pointerId);
    pointers.delete(event.pointerId);
    if (event.type !== "pointerup" || !alone || moved > 6) return;
    const [x, y] = at(event), point = nearest(x, y);
    if (point < 0) { showHover(-1); if (state.region || state.hot || state.subject) go({ region: "", hot: "", subject: "" }); return; }
    withTexts().then(() => showHover(point, x, y));
    const id = regionOf[point] < 0 ? "" : regions[regionOf[point]].id;
    go({ region: id && view.scale <= 2.4 ? id.split(".")[0] : id, rows: "", hot: "", subject: "" });
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") $("hover").hidden = true; });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), ...at(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(1.8, ...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) pan(...step);
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") zoom(0);
    else return;
    event.preventDefault();
  });
  $("zoom-in").addEventListener("click", () => zoom(1.5));
  $("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  $("zoom-reset").addEventListener("click", () => zoom(0));
  new ResizeObserver(redraw).observe(frame);
}

// ------------------------------------------------------------------------------- region panel

function signatureOf(model, id) {
  for (const level of data.signatures) {
    const row = level.regions.indexOf(id);
    const at = level.models.indexOf(models.indexOf(model));
    if (row >= 0 && at >= 0 && level.cells[row][at]) {
      const [asked, wrong, excess, strength] = level.cells[row][at];
      return { asked, wrong, excess, strength };
    }
  }
  return null;
}

const departure = ({ excess }) => `${(100 * Math.abs(excess)).toFixed(1)} points of error rate ${excess > 0 ? "more" : "less"} than its ability and the region's difficulty explain`;

function ratesByModel(here, change) {
  const rates = models.map((model) => ({ model, ...rateIn(model, here) }));
  return el("ul", { class: "bars", "aria-label": "Error rates here" }, rates.map(({ model, rate, wrong, asked }) =>
    el("li", { class: model === chosenModel() ? "chosen" : "" },
      el("a", { href: { ...change, model: model.model, rows: "" }, class: "bar-name" }, bdi(model.model)),
      el("span", { class: "bar-track" }, el("span", { class: "bar-fill", style: { width: `${100 * (rate || 0)}%` } })),
      el("span", { class: "number" }, asked ? percent(rate) : "–"),
      rowsLink(`${count(wrong)}`, { ...change, model: model.model, rows: "errors" }, `List the ${count(wrong)} errors of ${model.model} here`))));
}

function drawRegion() {
  const model = chosenModel(), panel = $("region");
  const chosen = chosenPoints();
  if (!chosen) {
    const harder = regions.filter((region) => region.level === 1)
      .map((region) => ({ region, ...rateIn(model, pointsIn(region.id)) }))
      .filter((one) => one.asked).sort((a, b) => b.rate - a.rate);
    fill(panel, el("h3", {}, "Regions, hardest for ", bdi(model.model), " first"),
      el("p", { class: "dim small" }, "Choose one here or on the map. The number is errors of questions answered; it opens them."),
      el("ul", { class: "bars" }, harder.map(({ region, rate, wrong, asked }) => el("li", {},
        el("a", { href: { region: region.id, rows: "", hot: "" }, class: "bar-name", "data-region": region.id }, ...regionName(region.id)),
        el("span", { class: "bar-track" }, el("span", { class: "bar-fill", style: { width: `${100 * rate}%` } })),
        el("span", { class: "number" }, percent(rate)),
        rowsLink(`${count(wrong)}/${count(asked)}`, { region: region.id, rows: "errors", hot: "" }, `List the ${count(wrong)} errors in ${region.label}`)))));
    return;
  }
  const here = chosen.points, own = rateIn(model, here);
  const elsewhere = rateIn(model, everyPoint);
  const outside = (elsewhere.wrong - own.wrong) / Math.max(elsewhere.asked - own.asked, 1);
  const region = chosen.hot ? null : regions[regionNumber.get(state.region)];
  const departs = region && models.length >= data.fewestModels ? signatureOf(model, region.id) : null;
  const parts = region ? regions.filter((part) => part.parent === region.id) : [];
  const close = el("a", { href: { region: "", hot: "", rows: "" }, class: "close", "aria-label": "Show all regions" }, "×");
  fill(panel,
    el("div", { class: "panel-head" }, el("h3", {}, chosen.hot ? placeName(chosen, model) : regionName(region.id)), close),
    region && region.parent ? el("p", { class: "small" }, "part of ", el("a", { href: { region: region.parent, rows: "" } }, ...regionName(region.parent))) : null,
    region && region.phrases.length ? el("p", { class: "dim small" }, bdi(region.phrases.join(", "))) : null,
    region && region.description ? el("p", { class: "small" }, bdi(region.description)) : null,
    el("p", {}, bdi(model.model), ` is wrong on ${count(own.wrong)} of ${plural(own.asked, "question")} here (`, el("strong", {}, percent(own.rate)), `), elsewhere on ${percent(outside)}. `,
      departs ? (Math.abs(departs.strength) >= 2
        ? `That is ${departure(departs)}, ${Math.abs(departs.strength).toFixed(1)} standard deviations from none.`
        : `Whether that is more or less than expected is not clear: ${departure(departs)}, but only ${Math.abs(departs.strength).toFixed(1)} standard deviations from none.`) : "",
      chosen.hot && chosen.owner === model ? placeClaim(chosen.hot) : ""),
    sureOf(model) ? howSureThere(model, here, { region: state.region, hot: state.hot }) : null,
    parts.length ? el("p", { class: "chips" }, el("span", { class: "dim small" }, "Parts: "), parts.map((part) => el("a", { class: "chip", href: { region: part.id, rows: "" } }, ...regionName(part.id)))) : null,
    ratesByModel(here, chosen.hot ? { hot: state.hot, owner: chosen.owner.model, region: "" } : { region: state.region, hot: "" }),
    el("h4", {}, `Errors here (${count(own.wrong)})`),
    rowList(here.filter((point) => model.stateOf[point] === 1).map((point) => ({ model, row: errorsOf(model).ofPoint[point], point })), 8));
}

const PLACES = { confidently_wrong: "Confidently wrong place", uncertain: "Unsure place", uncertain_given_options: "Unsure place, given the number of options," };
const placeName = ({ hot, owner }, model) => [`${PLACES[hot.basis] ?? "Hot region"} ${hot.rank}`, owner === model ? "" : [" of ", bdi(owner.model)], ": ", bdi(hot.keyPhrases.join(", "))];
const replicated = (hot) => (hot.heldOutExcess === null ? "Neither half of the questions finds it by itself." : `Where one half of the questions finds it, the other half shows ${points(hot.heldOutExcess, 0)} points; ${hot.replicatedHalves} of 2 halves confirm it.`);
const placeClaim = (hot) => (PLACES[hot.basis] ? surenessClaim(hot) : hotClaim(hot));
const hotClaim = (hot) => `95 % interval ${percent(hot.low)} to ${percent(hot.high)} (Clopper-Pearson; the place was chosen for its errors, so this flatters it). ` +
  `${hot.basis === "errors" ? "Expected at the overall rate" : "Difficulty explains"}: ${percent(hot.expected / hot.size)}. q ${chance(hot.q)} for a typical question of its core. ` +
  replicated(hot);

// -------------------------------------------------------------------------------- hot regions

function drawHotRegions() {
  const model = chosenModel(), basis = beyond() ? "beyond_difficulty" : "errors";
  const found = model.hotRegions.filter((one) => one.basis === basis);
  fill($("hot-title"), "Where ", bdi(model.model), beyond() ? " errs more than difficulty explains" : " errs more than elsewhere");
  fill($("hot-note"), found.length
    ? `${plural(found.length, "place")} on the map, surest first${beyond() ? "" : "; many of them are hard for every model, see “beyond difficulty” above"}. A place is grown from questions whose surroundings are significant (false discovery rate ${percent(data.alpha)} over all questions and scales). Held out: excess error rate, in points, where each half of the questions finds the place and the other half is asked. Where is not why.`
    : "None found: no place stands out at this false discovery rate.");
  fill($("hot-table"), found.length ? table("Hot regions",
    ["", "What is there", "In region", "Error rate (95 %)", "Elsewhere", beyond() ? "By difficulty" : "Expected", "q", "Held out", "Confirmed", "Hot for others", "Errors"],
    found.map((hot) => el("tr", { class: state.hot === `${basis}-${hot.rank}` && (models[byName(state.owner)] ?? model) === model ? "chosen" : "" },
      el("td", { class: "number" }, String(hot.rank)),
      el("th", { scope: "row" }, el("a", { href: { hot: `${basis}-${hot.rank}`, owner: "", region: "", rows: "" }, "data-to": "map" }, bdi(hot.keyPhrases.join(", ") || `place ${hot.rank}`))),
      el("td", { class: "small whole" }, hot.regionId ? regionName(hot.regionId) : "–"),
      el("td", { class: "number nowrap whole" }, el("strong", {}, percent(hot.rate)), el("span", { class: "dim small" }, ` ${percent(hot.low)} to ${percent(hot.high)}`)),
      el("td", { class: "number" }, percent(hot.outsideRate)),
      el("td", { class: "number" }, percent(hot.expected / hot.size)),
      el("td", { class: "number" }, chance(hot.q)),
      el("td", { class: "number" }, hot.heldOutExcess === null ? "–" : points(hot.heldOutExcess, 0)),
      el("td", { class: "number" }, `${hot.replicatedHalves} of 2`),
      el("td", { class: "number" }, hot.others ? `${hot.hotForOthers} of ${hot.others}` : "–"),
      el("td", { class: "number" }, rowsLink(`${count(hot.errors)}`, { hot: `${basis}-${hot.rank}`, owner: "", region: "", rows: "errors" }, `List the ${count(hot.errors)} errors there`), el("span", { class: "dim" }, ` of ${count(hot.size)}`))))) : "");
}

// ------------------------------------------------------------------------------------ compare

const modelSelect = (chosen, label, change) => {
  const select = el("select", { "aria-label": label, onchange: (event) => change(event.target.value) },
    models.map((model) => el("option", { value: model.model }, model.model)));
  select.value = chosen.model;
  return select;
};

function pairOf(a, b) {
  const [first, second] = [models.indexOf(a), models.indexOf(b)];
  const found = data.pairs.find((pair) => (pair.modelA === first && pair.modelB === second) || (pair.modelA === second && pair.modelB === first));
  if (!found) return null;
  const turned = found.modelA !== first;
  const names = data.comparisonColumns;
  const rows = found.regions.map((values) => {
    const row = Object.fromEntries(names.map((name, at) => [name, values[at]]));
    return turned ? { ...row, errors_a: row.errors_b, errors_b: row.errors_a, only_a_wrong: row.only_b_wrong, only_b_wrong: row.only_a_wrong, difference: -row.difference, low: -row.high, high: -row.low } : row;
  });
  const sign = turned ? -1 : 1;
  return { ...found, rows, difference: sign * found.difference, low: turned ? -found.differenceHigh : found.differenceLow, high: turned ? -found.differenceLow : found.differenceHigh };
}

function drawCompare() {
  if (models.length < 2) {
    fill($("compare-controls"));
    fill($("compare-verdict"), el("p", { class: "dim" }, "There is one model only."));
    return;
  }
  const a = chosenModel(), b = otherModel();
  fill($("compare-controls"),
    el("label", { class: "choice" }, el("span", {}, "A"), modelSelect(a, "Model A", (name) => go({ model: name, with: name === b.model ? a.model : b.model, rows: "" }))),
    el("button", { type: "button", onclick: () => go({ model: b.model, with: a.model, rows: "" }), "aria-label": "Swap A and B" }, "⇄"),
    el("label", { class: "choice" }, el("span", {}, "B"), modelSelect(b, "Model B", (name) => go({ model: name === a.model ? b.model : a.model, with: name, rows: "" }))));
  const pair = pairOf(a, b);
  if (!pair) {
    fill($("compare-verdict"), el("p", {}, "This pair was not compared (only the closest in accuracy are, see statistics.most_pairs). ", el("code", {}, `errclust compare ${data.benchmark} ${a.model} ${b.model}`), " compares any two."));
    fill($("compare-table")); fill($("compare-note"));
    return;
  }
  const clear = pair.low > 0 || pair.high < 0;
  const open = pair.gateP < data.alpha;
  const name = (model, letter) => [el("strong", {}, bdi(model.model)), ` (${letter})`];
  const worse = pair.rows.filter((row) => row.q_worse !== null && row.q_worse < data.alpha);
  const aWorse = worse.filter((row) => row.difference > 0).length;
  const gaps = pair.rows.filter((row) => row.q_gap !== null && row.q_gap < data.alpha).length;
  fill($("compare-verdict"), el("ul", { class: "verdict" },
    el("li", {}, ...name(a, "A"), clear ? (pair.difference > 0 ? " errs more than " : " errs less than ") : " and ", ...name(b, "B"),
      clear ? "" : " cannot be told apart overall",
      `: A's error rate less B's is ${points(pair.difference)} points, 95 % interval ${points(pair.low)} to ${points(pair.high)} (cluster-robust), over `,
      `${plural(pair.questions, "question")} that both answered. `,
      "Wrong: ", rowsLink("only A", { model: a.model, with: b.model, region: "", hot: "", rows: "only_a" }), ", ",
      rowsLink("only B", { model: a.model, with: b.model, region: "", hot: "", rows: "only_b" }), ", ",
      rowsLink("both", { model: a.model, with: b.model, region: "", hot: "", rows: "both" }), "."),
    el("li", {}, open
      ? `The gap varies by topic (permutation test over coarse regions, p ${chance(pair.gateP)}): in ${plural(gaps, "region")} it is unlike the overall gap.`
      : `There is no evidence that the gap varies by topic (permutation test over coarse regions, p ${chance(pair.gateP)}), so no region's gap is tested against the overall one.`),
    el("li", {}, worse.length
      ? `Of regions at all levels, A is worse in ${count(aWorse)} and B in ${count(worse.length - aWorse)} (exact McNemar test, false discoveries controlled down the hierarchy of regions at ${percent(data.alpha)}).`
      : "In no region is one surely worse than the other (exact McNemar test)."),
    el("li", {}, pair.kappa === null ? "Whether they err on the same questions is not known." : `They err on the same questions ${pair.kappa > 0.02 ? "more often" : pair.kappa < -0.02 ? "less often" : "about as often"} than chance has it: error consistency (kappa) ${pair.kappa.toFixed(2)}, where 0 is chance and 1 the same errors.`,
      pair.sameWrongOption !== null ? ` Where both chose a wrong option, it was the same one ${percent(pair.sameWrongOption)} of the time; evenly chosen it would be ${percent(pair.sameByChance)}.` : "")));
  const most = Math.max(0.05, ...pair.rows.filter((row) => row.questions >= 20).map((row) => Math.max(Math.abs(row.low), Math.abs(row.high))));
  const letter = (row) => (row.difference > 0 ? "A" : "B");
  const verdict = (row) => {
    const said = [];
    if (row.q_worse === null) said.push(el("span", { class: "dim" }, "not tested: its parent region did not stand out"));
    else if (row.q_worse < data.alpha) said.push(el("span", { class: `mark ${letter(row) === "A" ? "worse" : "better"}` }, `${letter(row)} is worse`), el("span", { class: "dim small" }, ` q ${chance(row.q_worse)}`));
    else said.push(el("span", { class: "dim" }, `no sure difference, q ${chance(row.q_worse)}`));
    if (row.q_gap !== null && row.q_gap < data.alpha) {
      said.push(el("br"), el("span", { class: "mark gap" }, `gap ${row.difference > pair.difference ? "more against A" : "more against B"} than overall`), el("span", { class: "dim small" }, ` q ${chance(row.q_gap)}`));
    }
    return said;
  };
  const shown = state.level === "1" ? pair.rows.filter((row) => !row.region_id.includes(".")) : pair.rows;
  const rows = shown.map((row) => el("tr", { class: row.region_id === state.region ? "chosen" : "" },
    el("th", { scope: "row" }, el("a", { href: { region: row.region_id, rows: "", hot: "" }, "data-to": "map" }, ...regionName(row.region_id))),
    el("td", { class: "number" }, count(row.questions)),
    el("td", { class: "number" }, percent(row.errors_a / row.questions)),
    el("td", { class: "number" }, percent(row.errors_b / row.questions)),
    el("td", { class: "nowrap whole" }, interval(row.low, row.difference, row.high, -most, most, pair.difference),
      el("span", { class: "small" }, ` ${points(row.difference, 0)} `, el("span", { class: "dim" }, `(${points(row.low, 0)} to ${points(row.high, 0)})`))),
    el("td", { class: "number" }, rowsLink(count(row.only_a_wrong), { model: a.model, with: b.model, region: row.region_id, hot: "", rows: "only_a" }, `List the ${row.only_a_wrong} questions only A gets wrong`)),
    el("td", { class: "number" }, rowsLink(count(row.only_b_wrong), { model: a.model, with: b.model, region: row.region_id, hot: "", rows: "only_b" }, `List the ${row.only_b_wrong} questions only B gets wrong`)),
    el("td", { class: "whole" }, verdict(row))));
  fill($("compare-table"), table("Comparison by region", ["Region", "Questions", "A wrong", "B wrong", "A less B, points (95 %)", "Only A wrong", "Only B wrong", "Verdict"], rows));
  fill($("compare-note"), "Intervals: Newcombe's for paired shares; the dashed line is the overall difference, right of it means more against A. Surest departures from the overall gap first. ",
    state.level === "1" && data.signatures.length > 1 ? el("button", { type: "button", onclick: () => go({ level: "2" }) }, "Show the parts of regions too") : null,
    state.level !== "1" ? el("button", { type: "button", onclick: () => go({ level: "1" }) }, "Only coarse regions") : null);
}

// --------------------------------------------------------------------------------- confidence

function setsConcentrate(sure) {
  const { moran: raw, moranZ, adjustedMoran, adjustedMoranZ, adjustedMoranP, moranP, fewestOptions, mostOptions, k } = sure.summary;
  if (raw === null || moranZ === null) return "Whether they depend on the topic is not known.";
  const varied = fewestOptions !== mostOptions && adjustedMoran !== null && adjustedMoranZ !== null;
  const [value, z, p] = varied ? [adjustedMoran, adjustedMoranZ, adjustedMoranP] : [raw, moranZ, moranP];
  return `${z >= 2 ? "They depend on the topic" : "There is no sure sign that they depend on the topic"}: Moran's I is ${raw.toFixed(3)} at ${k} neighbours (z ${moranZ.toFixed(1)})` +
    (varied ? `, and ${value.toFixed(3)} (z ${z.toFixed(1)}, p ${chance(p)} by permutation) once sets are compared only with those of questions of as many options, ${fewestOptions} to ${mostOptions} here.` : ` (p ${chance(p)} by permutation).`);
}

function surenessClaim(hot) {
  const mistaken = hot.basis === "confidently_wrong";
  return [mistaken
    ? `It is confidently wrong on ${percent(hot.value)} here (95 % interval ${percent(hot.low)} to ${percent(hot.high)}; the place was chosen for it, so this flatters it), elsewhere on ${percent(hot.outsideValue)}. `
    : hot.basis === "uncertain_given_options" ? `Its sets hold ${points(hot.value)} points more of the options here than on other questions of as many (95 % interval ${points(hot.low)} to ${points(hot.high)}; the place was chosen for it). `
    : `Its sets hold ${percent(hot.value)} of the options here (95 % interval ${percent(hot.low)} to ${percent(hot.high)}; the place was chosen for it), elsewhere ${percent(hot.outsideValue)}. `,
    `It is right on ${percent(hot.accuracy)} and says ${percent(hot.confidence)}. q ${chance(hot.q)} for a typical question of it. `, mistaken ? replicated(hot) : ""].join("");
}

function howSureThere(model, here, change) {
  const sure = sureOf(model);
  const known = here.filter((point) => sure.corner[point] >= 0);
  if (!known.length) return null;
  const wrong = known.filter((point) => sure.corner[point] === sure.confidentlyWrong).length;
  const size = known.reduce((sum, point) => sum + sure.size[point], 0) / known.length / 10;
  const name = model.model;
  return el("p", { class: "small" }, "Confidently wrong: ", rowsLink(count(wrong), { ...change, rows: "confident_wrong" }, `List the ${count(wrong)} confident mistakes of ${name} here`),
    ` of ${count(known.length)} (${percent(wrong / known.length)}). Conformal sets hold `, rowsLink(size.toFixed(2), { ...change, rows: "unsure" }, `List the questions here by how unsure ${name} is`),
    ` options on average; over all questions ${sure.summary.setSize.toFixed(2)}.`);
}

function curvePicture(curve) {
  const side = 210, at = (value) => 24 + (side - 34) * value, up = (value) => side - at(value);
  const most = Math.max(...curve.map((bin) => bin.questions));
  const picture = svg("svg", { viewBox: `0 0 ${side} ${side}`, width: side, height: side, "aria-hidden": "true" });
  picture.append(svg("line", { x1: at(0), y1: up(0), x2: at(1), y2: up(1), stroke: "#8a96a5", "stroke-dasharray": "3 3" }),
    svg("path", { d: `M${at(0)},${up(1)}V${up(0)}H${at(1)}`, fill: "none", stroke: "#c3ccd6" }),
    svg("polyline", { points: curve.map((bin) => `${at(bin.confidence)},${up(bin.accuracy)}`).join(" "), fill: "none", stroke: "#c85f14", "stroke-width": 1.5 }),
    ...curve.map((bin) => svg("circle", { cx: at(bin.confidence), cy: up(bin.accuracy), r: 2 + 6 * Math.sqrt(bin.questions / most), fill: "#c85f14", "fill-opacity": 0.75 })),
    svg("text", { x: side / 2, y: side - 6, "text-anchor": "middle", class: "axis" }, "says"),
    svg("text", { x: 12, y: side / 2, "text-anchor": "middle", class: "axis", transform: `rotate(-90 12 ${side / 2})` }, "is right"));
  return picture;
}

function placesTable(caption, places, heads, cells) {
  return el("div", { class: "scroll" }, table(caption, ["", "What is there", "In region", ...heads], places.map((hot) => {
    const key = `${hot.basis}-${hot.rank}`;
    return el("tr", { class: state.hot === key && !state.owner ? "chosen" : "" },
      el("td", { class: "number" }, String(hot.rank)),
      el("th", { scope: "row" }, el("a", { href: { hot: key, owner: "", region: "", rows: "", show: hot.basis === "confidently_wrong" ? state.show : "sets" }, "data-to": "map" }, bdi(hot.keyPhrases.join(", ") || `place ${hot.rank}`))),
      el("td", { class: "small whole" }, hot.regionId ? regionName(hot.regionId) : "–"),
      cells(hot, { hot: key, owner: "", region: "" }));
  })));
}
const beyondRange = (hot) => el("td", { class: "number nowrap whole" }, el("strong", {}, points(hot.value)), el("span", { class: "dim small" }, ` ${points(hot.low)} to ${points(hot.high)}`));
const withRange = (hot) => el("td", { class: "number nowrap whole" }, el("strong", {}, percent(hot.value)), el("span", { class: "dim small" }, ` ${percent(hot.low)} to ${percent(hot.high)}`));
const numberCell = (text) => el("td", { class: "number" }, text);

function drawConfidence() {
  const model = chosenModel(), sure = sureOf(model);
  fill($("confidence-title"), "How sure ", bdi(model.model), " is, and where wrongly so");
  if (!sure) {
    fill($("confidence-body"), el("p", {}, `How sure it is, is not known. ${model.uncertainty.absent}`));
    return;
  }
  const one = sure.summary, gap = one.confidence - one.accuracy;
  const wrong = sure.places.filter((place) => place.basis === "confidently_wrong"), unsure = sure.places.filter((place) => place.basis === "uncertain");
  const given = sure.places.filter((place) => place.basis === "uncertain_given_options"), varied = one.fewestOptions !== one.mostOptions;
  const rate = percent(data.alpha);
  const size = (hot) => numberCell(hot.setSize.toFixed(1));
  fill($("confidence-body"),
    el("div", { class: "curve-and-words" }, curvePicture(sure.curve), el("ul", { class: "verdict" },
      el("li", {}, `It is right on ${percent(one.accuracy, 1)} and says ${percent(one.confidence, 1)} on average: `, el("strong", {}, `${(100 * Math.abs(gap)).toFixed(1)} points too ${gap > 0 ? "sure" : "modest"}`),
        `. Its expected calibration error is ${one.calibrationError.toFixed(3)}, ${one.calibrationError > one.calibrationErrorByChance ? "more than" : "no more than"} the ${one.calibrationErrorByChance.toFixed(3)} that a calibrated model stays below 19 times of 20`,
        one.comparedByLength ? `; ${plural(one.comparedByLength, "question")} compare options by log-likelihood a character, which flattens probabilities, so that this says little.` : "."),
      el("li", {}, `Conformal sets that may miss the right option in ${percent(one.alpha)} of questions hold `, rowsLink(one.setSize.toFixed(2), { rows: "unsure", region: "", hot: "" }, "List all questions, least sure first"), ` of ${one.fewestOptions === one.mostOptions ? one.mostOptions : `${one.fewestOptions} to ${one.mostOptions}`} options on average, and the right one in ${percent(one.coverage, 1)}; ${plural(one.questions, "question")}${one.leftOut ? `, ${count(one.leftOut)} left out` : ""}. UAcc ${one.uacc === null ? "–" : (100 * one.uacc).toFixed(1)}.`),
      el("li", {}, "Set sizes: ", setsConcentrate(sure), " ", el("a", { href: { show: "sets" }, "data-to": "map" }, "Show them on the map"), "."),
      el("li", {}, "The curve: how often it is right where it says so much, in ten bins, larger dots for more questions; on the dashed line it would be calibrated."))),
    el("details", {}, el("summary", {}, "The curve in numbers"), el("div", { class: "scroll" }, table("Calibration curve", ["Says", "On average", "Is right", "Questions"], sure.curve.map((bin) => el("tr", {},
      el("th", { scope: "row" }, `${bin.low.toFixed(1)} to ${bin.high.toFixed(1)}`), numberCell(percent(bin.confidence)), numberCell(percent(bin.accuracy)), numberCell(count(bin.questions))))))),
    el("h3", {}, "Where it is confidently wrong more than elsewhere"),
    el("p", { class: "dim" }, wrong.length
      ? `Confidently wrong: wrong, with a probability for its choice above its own median of ${one.confidentFrom.toFixed(2)}. Places are grown and tested as hot regions are (exact, false discovery rate ${rate} over all questions and scales), surest first. Held out: excess in points where each half of the questions finds the place and the other half is asked.`
      : `None found: nowhere is it wrong with a probability above its median of ${one.confidentFrom.toFixed(2)} more often than elsewhere, at a false discovery rate of ${rate}.`),
    wrong.length ? placesTable("Confidently wrong places", wrong, ["Confidently wrong (95 %)", "Elsewhere", "Right", "Says", "Set size", "q", "Held out", "Confirmed", "Mistakes"], (hot, where) => [
      withRange(hot), numberCell(percent(hot.outsideValue)), numberCell(percent(hot.accuracy)), numberCell(percent(hot.confidence)), size(hot), numberCell(chance(hot.q)),
      numberCell(hot.heldOutExcess === null ? "–" : points(hot.heldOutExcess, 0)), numberCell(hot.replicatedHalves === null ? "–" : `${hot.replicatedHalves} of 2`),
      el("td", { class: "number" }, rowsLink(count(Math.round(hot.value * hot.size)), { ...where, rows: "confident_wrong" }, "List the confident mistakes there"), el("span", { class: "dim" }, ` of ${count(hot.size)}`))]) : null,
    el("h3", {}, "Where it is unsure more than elsewhere"),
    el("p", { class: "dim" }, unsure.length
      ? `By the size of its conformal sets as a share of the options (moments under permutation, false discovery rate ${rate}).${varied ? " Of few options a larger share is in the set, so a place may only be one of questions with few: see below." : ""}`
      : `None found: no place has larger sets than others at a false discovery rate of ${rate}.`),
    unsure.length ? placesTable("Unsure places", unsure, ["Share of options (95 %)", "Elsewhere", "Set size", "Right", "Says", "q", "Questions"], (hot, where) => [
      withRange(hot), numberCell(percent(hot.outsideValue)), size(hot), numberCell(percent(hot.accuracy)), numberCell(percent(hot.confidence)), numberCell(chance(hot.q)),
      el("td", { class: "number" }, rowsLink(count(hot.size), { ...where, rows: "unsure" }, "List the questions there, least sure first"))]) : null,
    varied ? [el("h3", {}, "The same, given the number of options"),
      el("p", { class: "dim" }, given.length
        ? "Where sets are larger than those of other questions of as many options, in points of their share of the options; tested as above, on standardised sizes."
        : `None found: given how many options a question has, no place has larger sets at a false discovery rate of ${rate}.`),
      given.length ? placesTable("Unsure places, given the number of options", given, ["Beyond as many options, points (95 %)", "Set size", "Right", "Says", "q", "Questions"], (hot, where) => [
        beyondRange(hot), size(hot), numberCell(percent(hot.accuracy)), numberCell(percent(hot.confidence)), numberCell(chance(hot.q)),
        el("td", { class: "number" }, rowsLink(count(hot.size), { ...where, rows: "unsure" }, "List the questions there, least sure first"))]) : null] : null,
    el("h3", {}, `Where its sets hold the right option less often than the ${percent(1 - one.alpha)} promised`),
    el("p", { class: "dim" }, sure.broken.length
      ? `In ${count(sure.broken.length)} of ${plural(sure.regionsTested, "region")} (exact beta-binomial test of LAC sets in the textbook's form, false discovery rate ${rate} at each level). The promise holds over all questions, so that one region may pay for another. Own sets: calibrated within the region (Mondrian), what it takes to keep the promise there.`
      : `In none of ${plural(sure.regionsTested, "region")} (exact beta-binomial test of LAC sets in the textbook's form, false discovery rate ${rate} at each level).`),
    sure.broken.length ? el("div", { class: "scroll" }, table("Regions in which the promise fails", ["Region", "Covered (95 %)", "q", "Right", "Says", "Set size", "Own sets: covered", "Own sets: size", "Questions"], sure.broken.map((row) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: { region: row.regionId, rows: "", hot: "" }, "data-to": "map" }, ...regionName(row.regionId))),
      el("td", { class: "number nowrap whole" }, el("strong", {}, percent(row.coverage)), el("span", { class: "dim small" }, ` ${percent(row.low)} to ${percent(row.high)}`)),
      numberCell(chance(row.q)), numberCell(percent(row.accuracy)), numberCell(percent(row.confidence)), numberCell(row.setSize.toFixed(2)), numberCell(percent(row.mondrianCoverage)), numberCell(row.mondrianSetSize.toFixed(2)),
      el("td", { class: "number" }, rowsLink(count(row.questions), { region: row.regionId, hot: "", rows: "unsure" }, "List the questions there, least sure first")))))) : null);
}

// ----------------------------------------------------------------------------------- clusters

function membersOf(model, id) {
  const inside = new Set(model.clusters.map((label, number) => [label.clusterId, number])
    .filter(([name]) => name === id || name.startsWith(`${id}.`)).map(([, number]) => number));
  const found = [];
  errorsOf(model).cluster.forEach((number, row) => { if (inside.has(number)) found.push(row); });
  return found;
}

function faithfulness(label) {
  const said = [];
  const range = (middle, low, high) => `${percent(middle)} (95 % interval ${percent(low)} to ${percent(high)})`;
  if (label.faithfulness !== null) said.push(`By similarity to the name, members it was not written from are told from other errors with ${range(label.faithfulness, label.faithfulnessLow, label.faithfulnessHigh)} balanced accuracy; 50 % says nothing.`);
  if (label.judgedFaithfulness !== null) said.push(`As a language model judges: ${range(label.judgedFaithfulness, label.judgedFaithfulnessLow, label.judgedFaithfulnessHigh)}.`);
  if (!said.length) said.push("How well the name fits was not tested: the cluster is too small.");
  return said.join(" ");
}

function clusterNode(model, label) {
  const parts = model.clusters.filter((part) => part.parentId === label.clusterId).sort((a, b) => b.size - a.size);
  const verdict = label.isFaithful === null ? ["", "name not tested"] : label.isFaithful ? ["ok", "name fits"] : ["bad", "name does not fit"];
  const node = el("details", { class: "cluster", "data-cluster": label.clusterId },
    el("summary", {},
      el("span", { class: "cluster-bar", style: { width: `${Math.max(1, 100 * label.shareOfErrors)}%` } }),
      el("span", { class: "id" }, label.clusterId), " ", el("strong", {}, bdi(label.label)),
      el("span", { class: "dim" }, ` ${plural(label.size, "error")}, ${percent(label.shareOfErrors, 1)} of all`), " ",
      el("span", { class: `badge ${verdict[0]}` }, verdict[1])));
  const open = () => {
    if (node.childElementCount > 1) return;
    node.append(el("div", { class: "cluster-body" },
      label.description ? el("p", {}, bdi(label.description)) : null,
      el("p", { class: "small dim" }, "Key phrases: ", bdi(label.keyPhrases.join(", ")), `. Failure form of ${percent(label.mainFailureFormShare)}: ${form(label.mainFailureForm)}`,
        label.mainSubject ? ["; most often ", bdi(label.mainSubject)] : "", ". ",
        label.writtenBy === "key_phrases" ? "Named by its key phrases." : ["Named by ", bdi(label.writtenBy), "."],
        label.cause ? [" Suspected cause: ", bdi(form(label.cause)), " (a language model's guess)."] : ""),
      el("p", { class: "small" }, faithfulness(label)),
      label.problem ? el("p", { class: "small warning" }, bdi(label.problem)) : null,
      el("p", {}, rowsLink(`All ${plural(label.size, "error")}`, { cluster: label.clusterId, rows: "cluster", region: "", hot: "" })),
      label.exemplars.length ? el("h4", {}, "Examples, the most central and the most diverse") : null,
      rowList(label.exemplars.map((one) => ({ model, row: one.row, role: one.role })), 6),
      parts.length ? [el("h4", {}, "Its parts"), parts.map((part) => clusterNode(model, part))] : null));
  };
  node.addEventListener("toggle", () => { if (node.open) open(); });
  node.openNow = () => { open(); node.open = true; };
  return node;
}

function drawClusters() {
  const model = chosenModel();
  fill($("clusters-title"), "Clusters of ", bdi(model.model), "’s errors");
  const top = model.clusters.filter((label) => label.level === 1).sort((a, b) => b.size - a.size);
  const rows = errorsOf(model).cluster;
  const alone = rows.reduce((sum, number) => sum + (number < 0), 0);
  fill($("clusters-note"), top.length
    ? `${plural(rows.length, "error")} in ${plural(top.length, "cluster")}${alone ? `, ${count(alone)} in none` : ""}, by their text; largest first. They say where it fails, not why.`
    : "No clusters: too few errors, or none alike.");
  fill($("clusters-list"), top.map((label) => clusterNode(model, label)));
  if (state.cluster) {
    const parts = state.cluster.split(".");
    parts.forEach((_, depth) => {
      const id = parts.slice(0, depth + 1).join(".");
      [...$("clusters-list").querySelectorAll("details.cluster")].find((node) => node.dataset.cluster === id)?.openNow?.();
    });
  }
}

// --------------------------------------------------------------------------------------- rows

function rowNode(item) {
  if (item.battle !== undefined) return battleNode(item);
  const { model, row } = item;
  const errors = model ? errorsOf(model) : null;
  const question = row >= 0 && model ? errors.question[row] : questions.ofPoint[item.point];
  const point = item.point ?? questions.point[question];
  const first = texts.questions[question] ?? "";
  const node = el("details", { class: "row" }, el("summary", {},
    item.role ? el("span", { class: "badge" }, item.role) : null, item.role ? " " : null,
    bdi(first.length > 170 ? `${first.slice(0, 170)}…` : first),
    model && row >= 0 ? el("span", { class: "answers" },
      " right: ", bdi(short(texts.gold[question]), { class: "gold" }), " · said: ", bdi(short(predictionOf(model, row)), { class: "said" })) : null));
  node.addEventListener("toggle", () => {
    if (!node.open || node.childElementCount > 1) return;
    const subject = data.questions.subjects[questions.subject[question]];
    const sure = sureOf(model ?? models[0]);
    const choices = texts.choices[question];
    const region = regionOf[point] >= 0 ? regions[regionOf[point]].id : null;
    node.append(el("div", { class: "row-body" },
      el("pre", { class: "text" }, bdi(first)),
      choices ? el("ol", { class: "options" }, choices.map((one) => el("li", { class: one === texts.gold[question] ? "gold" : "" }, bdi(one), one === texts.gold[question] ? el("span", { class: "visually-hidden" }, " (right)") : ""))) : null,
      el("p", {}, "Right answer: ", bdi(texts.gold[question], { class: "gold" })),
      [item, item.other].filter((one) => one && one.model && one.row >= 0).map((one) => answer(one)),
      item.other && item.other.row < 0 ? el("p", {}, bdi(item.other.model.model), " is right.") : null,
      model && sure && sure.corner[point] >= 0 ? el("p", { class: "small dim" }, bdi(model.model), ` gives its choice a probability of ${percent(sure.said[point] / 250)}; its conformal set holds ${(sure.size[point] / 10).toFixed(1)} options on average.`) : null,
      el("p", { class: "small dim" }, subject ? ["Subject: ", bdi(subject), ". "] : "", region ? ["Region: ", el("a", { href: { region, rows: "", hot: "", cluster: "" }, "data-to": "map" }, ...regionName(region)), "."] : ""),
      whoFailed(point, null)));
  });
  return node;
}
const short = (text) => (text === null || text === undefined ? "no answer" : text.length > 60 ? `${text.slice(0, 60)}…` : text);
const predictionOf = (model, row) => texts.models[models.indexOf(model)].predictions[row];

function answer({ model, row }) {
  const own = texts.models[models.indexOf(model)];
  const whole = own.responses[row], tail = own.tails[row];
  return el("div", { class: "answer" },
    el("p", {}, bdi(model.model), " said: ", bdi(own.predictions[row] ?? "no answer could be read off", { class: "said" }), " ", el("span", { class: "badge" }, form(data.failureForms[errorsOf(model).form[row]]))),
    whole || tail ? el("p", { class: "small dim" }, whole ? "Its response:" : "The end of its response:") : null,
    whole || tail ? el("pre", { class: "text response" }, bdi(whole || tail)) : null);
}

// A list that shows a few rows and more when asked, once the texts are unpacked.
function rowList(items, step) {
  const list = el("div", { class: "row-list" });
  if (!items.length) return list;
  let shown = 0;
  const more = el("button", { type: "button", onclick: () => add() });
  const add = () => {
    const next = items.slice(shown, shown + step);
    shown += next.length;
    more.before(...next.map(rowNode));
    const left = items.length - shown;
    more.hidden = left === 0;
    more.textContent = `Show ${count(Math.min(step * 3, left))} more of ${count(left)}`;
    step = Math.max(step, Math.min(step * 3, 60));
  };
  if (texts) { list.append(more); add(); }
  else {
    list.append(el("p", { class: "dim small" }, "unpacking the texts…"));
    withTexts().then(() => { fill(list, more); add(); }, (error) => fill(list, el("p", { class: "warning" }, `The texts cannot be unpacked (${error.message}): open the report in a browser of 2023 or later.`)));
  }
  return list;
}

function rowsToShow() {
  const a = chosenModel(), b = models.length > 1 ? otherModel() : null;
  const here = state.hot ? chosenPoints() : null;
  const where = here ? here.points : pointsIn(pointsOfRegion.has(state.region) ? state.region : "");
  const place = here?.hot ? [", ", ...placeName(here, a)] : pointsOfRegion.has(state.region) ? [" in ", ...regionName(state.region)] : [];
  const rowOf = (model, point) => errorsOf(model).ofPoint[point];
  if (state.rows === "errors") {
    const own = rateIn(a, where);
    const departs = !here && state.region && models.length >= data.fewestModels ? signatureOf(a, state.region) : null;
    return {
      title: ["Errors of ", bdi(a.model), ...place],
      claim: [`${count(own.wrong)} of ${plural(own.asked, "question")} answered are wrong (${percent(own.rate, 1)}). `,
        departs ? `That is ${departure(departs)}, ${Math.abs(departs.strength).toFixed(1)} standard deviations from none${Math.abs(departs.strength) < 2 ? ": it may be chance" : ""}. ` : "", here?.hot && here.owner === a ? placeClaim(here.hot) : "", " Near-duplicates count once."],
      items: where.filter((point) => a.stateOf[point] === 1).map((point) => ({ model: a, row: rowOf(a, point), point })),
    };
  }
  const sure = ["confident_wrong", "unsure"].includes(state.rows) ? sureOf(a) : null;
  if (sure) {
    const mistaken = state.rows === "confident_wrong", known = where.filter((point) => sure.corner[point] >= 0);
    const chosen = mistaken ? known.filter((point) => sure.corner[point] === sure.confidentlyWrong).sort((one, other) => sure.said[other] - sure.said[one])
      : [...known].sort((one, other) => sure.size[other] - sure.size[one]);
    return {
      title: mistaken ? ["Where ", bdi(a.model), " is wrong, and surer than at its median", ...place] : ["Questions by how unsure ", bdi(a.model), " is", ...place],
      claim: [mistaken ? `${count(chosen.length)} of ${plural(known.length, "question")} (${percent(chosen.length / known.length, 1)}), the most confident first. ` : `${plural(known.length, "question")}, the largest conformal sets first (mean of LAC and APS). `,
        here?.hot && here.owner === a ? placeClaim(here.hot) : ""],
      items: chosen.map((point) => ({ model: a, row: rowOf(a, point), point, role: mistaken ? `says ${percent(sure.said[point] / 250)}` : `set of ${(sure.size[point] / 10).toFixed(1)}` })),
    };
  }
  if (b && ["only_a", "only_b", "both"].includes(state.rows)) {
    const wanted = { only_a: [1, 0], only_b: [0, 1], both: [1, 1] }[state.rows];
    const items = where.filter((point) => a.stateOf[point] === wanted[0] && b.stateOf[point] === wanted[1])
      .map((point) => {
        const [own, other] = [{ model: a, row: rowOf(a, point), point }, { model: b, row: rowOf(b, point), point }];
        return wanted[0] ? { ...own, other } : { ...other, other: own };
      });
    const who = state.rows === "both" ? ["both ", bdi(a.model), " and ", bdi(b.model)] : ["only ", bdi((wanted[0] ? a : b).model)];
    return {
      title: ["Questions ", ...who, state.rows === "both" ? " get wrong" : " gets wrong", ...place],
      claim: state.rows === "both" ? [`${plural(items.length, "question")}.`] : [`${plural(items.length, "question")} on which `, bdi((wanted[0] ? b : a).model), " is right."],
      items,
    };
  }
  const label = state.rows === "cluster" ? a.clusters.find((one) => one.clusterId === state.cluster) : null;
  if (label) {
    return {
      title: ["Cluster ", label.clusterId, " of ", bdi(a.model), ": ", bdi(label.label)],
      claim: [`${plural(label.size, "error")}, ${percent(label.shareOfErrors, 1)} of all. `, faithfulness(label)],
      items: membersOf(a, label.clusterId).map((row) => ({ model: a, row })),
    };
  }
  return null;
}

function drawRows() {
  const dialog = $("rows");
  const found = state.rows ? page.rows() : null;
  if (!found) { if (dialog.open) dialog.close(); return; }
  fill($("rows-title"), ...found.title);
  fill($("rows-claim"), ...found.claim);
  fill($("rows-actions"), chosenPoints() ? el("a", { href: { rows: "" }, class: "like-button", "data-to": "map" }, "Show on the map") : null);
  fill($("rows-list"), found.items.length ? rowList(found.items, 20) : el("p", { class: "dim" }, "None."));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

// ------------------------------------------------------------------------------------ battles

const fought = ofBattles ? {
  question: column(data.battles.question, Int32Array),
  first: column(data.battles.first, Uint16Array),
  second: column(data.battles.second, Uint16Array),
  score: column(data.battles.score, Uint8Array),
  kind: column(data.battles.kind, Uint8Array),
  judge: column(data.battles.judge, Int32Array),
  responseOfFirst: column(data.battles.responseOfFirst, Int32Array),
  responseOfSecond: column(data.battles.responseOfSecond, Int32Array),
} : null;
const judgedBy = () => (data.judgeKinds.includes(state.judged) ? state.judged : data.judgeKinds[0]);
const judgesInWords = (kind) => ({ human: "people", model: "models" })[kind] ?? kind;
const judgeChoice = () => (data.judgeKinds.length > 1
  ? choice("Judged by", ...data.judgeKinds.map((kind) => button(judgesInWords(kind), kind === judgedBy(), () => go({ judged: kind, rows: "" })))) : null);
const ratingOf = (model) => model.ratings[judgedBy()] ?? null;
const byRating = () => [...models].sort((a, b) => (ratingOf(b)?.rating ?? -Infinity) - (ratingOf(a)?.rating ?? -Infinity));
const inWins = [...DIVERGING].reverse();
const WIN_COLOURS = ramp(inWins);
const expectedScore = (own, other) => 1 / (1 + 10 ** ((other - own) / data.elo));
const asRow = (names, values) => Object.fromEntries(names.map((name, at) => [name, values[at]]));
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(0)}`;

// Battles judged by the chosen kind on some prompts, each model's: how many, won, tied, and what its
// rating expects. Of one model against another if that is given.
function tally(here, other = null) {
  const inside = new Uint8Array(N), kind = data.judgeKinds.indexOf(judgedBy());
  for (const point of here) inside[point] = 1;
  const found = models.map(() => ({ battles: 0, won: 0, tied: 0, lost: 0, score: 0, expected: 0 }));
  const opponent = other === null ? -1 : models.indexOf(other);
  const ratings = models.map((model) => ratingOf(model)?.rating ?? NaN);
  for (let at = 0; at < fought.score.length; at++) {
    if (fought.kind[at] !== kind || !inside[questions.point[fought.question[at]]]) continue;
    const a = fought.first[at], b = fought.second[at], score = fought.score[at] / 2;
    if (opponent >= 0 && a !== opponent && b !== opponent) continue;
    const expected = expectedScore(ratings[a], ratings[b]);
    for (const [one, won, due] of [[found[a], score, expected], [found[b], 1 - score, 1 - expected]]) {
      one.battles++; one.score += won; one.expected += due;
      if (won === 1) one.won++; else if (won === 0) one.lost++; else one.tied++;
    }
  }
  return found;
}
const tallyOf = (model, here, other = null) => tally(here, other)[models.indexOf(model)];
const everywhere = { region: "", subject: "", hot: "" };
const placeOf = (level, id) => (level === 0 ? { ...everywhere, subject: id } : { ...everywhere, region: id });
const nameOfPlace = (level, id) => (level === 0 ? [bdi(id)] : regionName(id));
const levelName = (level) => ["subjects", "coarse regions", "fine regions"][level] ?? "finest regions";
const chosenLevels = () => data.topics[judgedBy()] ?? [];

// What the tables say of a model in a place, with the test of the place itself.
function cellOf(model, level, id) {
  const found = chosenLevels().find((one) => one.level === level);
  const row = found ? found.regions.indexOf(id) : -1, at = found ? found.models.indexOf(models.indexOf(model)) : -1;
  if (row < 0) return null;
  const cell = at < 0 ? null : found.cells[row][at];
  return { cell: cell && asRow(data.cellColumns, cell), test: asRow(data.topicColumns, found.tests[row]), spread: found.spread };
}
const chosenLevel = () => (state.subject ? 0 : state.region.split(".").length);
const chosenName = () => state.subject || state.region;

function drawRatings() {
  const kind = judgedBy(), others = data.judgeKinds.filter((one) => one !== kind);
  fill($("leaderboard-title"), "Ratings");
  fill($("leaderboard-controls"), judgeChoice());
  const rated = byRating().filter((model) => ratingOf(model));
  const components = new Set(rated.map((model) => ratingOf(model).component));
  const styled = rated.some((model) => ratingOf(model).styleRating !== null);
  fill($("leaderboard-note"),
    `Bradley-Terry ratings by the verdicts of ${judgesInWords(kind)} on the Elo scale (mean 1000; ${data.elo} points more are odds of ten to one), a tie being half a win, with 95 % intervals clustered by prompt, and by judge where there are ten or more. `,
    "By topic: Moran's I over the map of what a model wins beyond what ratings expect, and how many standard deviations it is above chance (z, exact permutation moments); above about 2, whether it wins depends on the topic.",
    styled ? " At equal style: the rating if all wrote as long and with as much layout." : "",
    rated.some((model) => !ratingOf(model).bounded) ? " *: it never lost, or never won; its rating rests on a prior." : "",
    components.size > 1 ? " Not all models met, even through others: ratings compare only those of one group." : "");
  const ends = rated.map(ratingOf);
  const least = Math.min(...ends.map((one) => one.low ?? one.rating)) - 10, most = Math.max(...ends.map((one) => one.high ?? one.rating)) + 10;
  const rows = rated.map((model, place) => {
    const own = ratingOf(model);
    return el("tr", { "data-model": model.model, class: model === chosenModel() ? "chosen" : "" },
      numberCell(String(place + 1)),
      el("th", { scope: "row" }, el("a", { href: { model: model.model, rows: "" } }, bdi(model.model))),
      el("td", { class: "number strong" }, `${own.rating.toFixed(0)}${own.bounded ? "" : "*"}`),
      el("td", { class: "nowrap whole" }, own.low === null ? "" : interval(own.low, own.rating, own.high, least, most, 1000),
        el("span", { class: "dim small" }, own.low === null ? "–" : ` ${own.low.toFixed(0)} to ${own.high.toFixed(0)}`)),
      el("td", { class: "number" }, rowsLink(count(own.battles), { model: model.model, rows: "battles", ...everywhere }, `List the ${count(own.battles)} battles of ${model.model}`)),
      numberCell(percent(own.winRate)),
      styled ? numberCell(own.styleRating === null ? "–" : own.styleRating.toFixed(0)) : null,
      el("td", { class: "number nowrap" }, own.moran === null || own.moranZ === null ? "–" : `${own.moran.toFixed(3)} (z ${own.moranZ.toFixed(1)})`),
      components.size > 1 ? numberCell(String(own.component + 1)) : null,
      others.map((one) => numberCell(model.ratings[one] ? model.ratings[one].rating.toFixed(0) : "–")));
  });
  fill($("leaderboard-table"), table("Ratings", ["", "Model", "Rating", "95 % interval", "Battles", "Won", ...(styled ? ["At equal style"] : []), "By topic", ...(components.size > 1 ? ["Group"] : []), ...others.map((one) => `By ${judgesInWords(one)}`)], rows));
}

function drawTopics() {
  const levels = chosenLevels(), found = levels.find((one) => String(one.level) === state.level) || levels.find((one) => one.level === 1) || levels[0];
  fill($("signature-title"), "Win rates: where each model wins more than expected of it");
  if (!found) {
    fill($("signature-note"), "The map has no regions and the source names no subjects: the prompts are too few, or none are alike.");
    for (const id of ["signature-controls", "signature-table", "topics"]) fill($(id));
    return;
  }
  const asDeparture = state.cells !== "rate";
  fill($("signature-controls"),
    choice("Topics", ...levels.map((one) => button(levelName(one.level), one === found, () => go({ level: String(one.level) })))),
    choice("Cells", button("beyond expected", asDeparture, () => go({ cells: "" })), button("win rate", !asDeparture, () => go({ cells: "rate" }))),
    el("span", { class: "legend-inline" }, asDeparture ? ["worse ", gradient(inWins), " better"] : ["0 % ", gradient(inWins), " 100 %"]));
  fill($("signature-note"), asDeparture
    ? `Percentage points of battles won beyond what ratings expect against the same opponents. Bold with a dot: surely more or less (permutation of prompts, false discovery rate ${percent(data.alpha)} over the cells shown); the rest may be chance. Models and topics that are alike stand together. A cell opens its battles.`
    : "Share of battles won, a tie being half; it depends on whom a model met. A cell opens its battles.");
  const value = (cell) => cell.win_rate - cell.expected;
  const cells = found.cells.map((line) => line.map((cell) => cell && asRow(data.cellColumns, cell)));
  const widest = Math.max(0.05, ...cells.flat().filter(Boolean).filter((cell) => cell.prompts > 2).map((cell) => Math.abs(value(cell))));
  const heads = [el("th", { scope: "col", class: "corner" }, "Topic"),
    ...found.models.map((number) => el("th", { scope: "col", class: "upright" }, el("a", { href: { model: models[number].model, rows: "" } }, bdi(models[number].model))))];
  const rows = found.regions.map((id, row) => el("tr", {},
    el("th", { scope: "row" }, el("a", { href: { ...placeOf(found.level, id), rows: "" }, "data-to": "map" }, ...nameOfPlace(found.level, id))),
    cells[row].map((cell, at) => {
      if (!cell) return el("td", { class: "cell none" }, "–");
      const model = models[found.models[at]], shade = asDeparture ? Math.min(Math.max(0.5 + 0.5 * value(cell) / widest, 0), 1) : cell.win_rate;
      const clear = asDeparture && cell.q < data.alpha;
      return el("td", { class: "cell" }, el("a", {
        href: { model: model.model, ...placeOf(found.level, id), rows: "battles" }, class: clear ? "clear" : "",
        style: { background: WIN_COLOURS[Math.round(shade * STEPS)], color: onColour(shade) },
        title: `${model.model}, ${found.level ? nameOfRegion(id) : id}: ${percent(cell.win_rate)} of ${plural(cell.battles, "battle")} won (${percent(cell.low)} to ${percent(cell.high)}), ${percent(cell.expected)} expected; q ${chance(cell.q)}`,
      }, asDeparture ? points(value(cell), 0) : (100 * cell.win_rate).toFixed(0), clear ? el("span", { "aria-hidden": "true" }, " •") : ""));
    })));
  fill($("signature-table"), table("Win rates by topic", heads, rows));
  $("signature-table").firstChild.classList.add("heat");
  const tested = levels.flatMap((one) => one.tests.map((test) => ({ level: one.level, ...asRow(data.topicColumns, test) }))).sort((a, b) => a.p - b.p);
  const sure = tested.filter((one) => one.q < data.alpha).length;
  fill($("topics"), el("h3", {}, "Does it matter what the prompt is about?"),
    el("p", {}, sure
      ? `In ${count(sure)} of ${plural(tested.length, "topic")} who wins is unlike elsewhere (q below ${percent(data.alpha)}). `
      : `There is no sure sign of it: in none of ${plural(tested.length, "topic")} is who wins surely unlike elsewhere. `,
    el("span", { class: "dim" }, `Tested by permuting prompts among topics with all their battles (p), false discoveries controlled over the topics of a level (q). The likelihood ratio compares ratings of the topic's own with those overall; the p that it has in the textbook takes battles for independent, which battles on one prompt are not, and finds too much. ${levels.map((one) => `Ratings in ${levelName(one.level)} ${one.spread ? `are shrunk to within about ${one.spread} points of the overall ones` : "foretell unseen prompts no better than the overall ones"}`).join("; ")}.`)),
    el("div", { class: "scroll" }, table("Topics", ["Topic", "Prompts", "Battles", "Models", "p", "q", "Likelihood ratio", "p if independent", "Verdict"], tested.slice(0, 20).map((one) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: { ...placeOf(one.level, one.region_id), rows: "" }, "data-to": "map" }, ...nameOfPlace(one.level, one.region_id))),
      numberCell(count(one.prompts)), el("td", { class: "number" }, rowsLink(count(one.battles), { ...placeOf(one.level, one.region_id), rows: "all" }, `List all ${count(one.battles)} battles there`)), numberCell(count(one.models)),
      numberCell(chance(one.p)), numberCell(chance(one.q)), el("td", { class: "number nowrap" }, `${one.likelihood_ratio.toFixed(1)} (${one.degrees_of_freedom} df)`), numberCell(chance(one.p_independent)),
      el("td", { class: "whole" }, one.q < data.alpha ? el("span", { class: "mark worse" }, "ratings differ here") : el("span", { class: "dim" }, "no sure difference")))))),
    tested.length > 20 ? el("p", { class: "dim small" }, `The 20 surest of ${count(tested.length)}; errclust battles ${data.benchmark} --limit 0 shows all.`) : null);
}

const mapOf = (model) => {
  const map = model.maps[judgedBy()];
  return map && once(map, "columns", () => ({ k: map.k, won: column(map.won, Uint8Array), around: column(map.around, Uint8Array), beyond: column(map.beyond, Uint8Array), hot: column(map.hot, Int8Array) }));
};
const shownOfBattles = () => (state.show === "against" && models.length > 1 ? "against" : state.show === "beyond" && mapOf(chosenModel())?.beyond ? "beyond" : "won");

function drawBattleMapControls() {
  const model = chosenModel(), other = models.length > 1 ? otherModel() : null;
  const subjects = data.questions.subjects;
  const chosen = el("select", { id: "region-choice", onchange: (event) => {
    const [what, id] = [event.target.value.slice(0, 1), event.target.value.slice(1)];
    go({ ...everywhere, ...(what === "r" ? { region: id } : what === "s" ? { subject: id } : {}), rows: "" });
  } },
  el("option", { value: "" }, "all prompts"),
  regions.map((region) => el("option", { value: `r${region.id}` }, `${" ".repeat(region.level - 1)}${region.id} ${region.label}`)),
  subjects.map((subject) => el("option", { value: `s${subject}` }, subject)));
  chosen.value = subjectNumber() >= 0 ? `s${state.subject}` : pointsOfRegion.has(state.region) ? `r${state.region}` : "";
  fill($("map-controls"), judgeChoice(),
    choice("Show", button("win rate", shownOfBattles() === "won", () => go({ show: "" })),
      mapOf(model)?.beyond ? button("beyond rating", shownOfBattles() === "beyond", () => go({ show: "beyond" })) : null,
      other ? button("against one", shownOfBattles() === "against", () => go({ show: "against", with: other.model })) : null),
    shownOfBattles() === "against" ? el("label", { class: "choice" }, el("span", {}, "Against"), modelSelect(other, "Against", (name) => go({ with: name, rows: "" }))) : null,
    el("label", { class: "choice" }, el("span", {}, "Topic"), chosen));
  const own = ratingOf(model);
  fill($("map-title"), "The map: where ", bdi(model.model), " wins", shownOfBattles() === "against" ? [" against ", bdi(other.model)] : "");
  fill($("map-claim"), shownOfBattles() === "against" ? "Share of their battles with each other on each prompt. " : shownOfBattles() === "beyond"
    ? "Share of battles won around each prompt beyond what ratings expect against the same opponents. " : "Share of battles won around each prompt, whomever it met there. ",
  !own ? `No ${judgesInWords(judgedBy())} judged it.`
    : own.moran === null || own.moranZ === null ? "Whether it depends on the topic is not known: the prompts are too few."
    : own.moranZ >= 2 ? `Whether it wins depends on the topic: Moran's I of what it wins beyond its rating is ${own.moran.toFixed(3)} at ${own.k} neighbours, ${own.moranZ.toFixed(1)} standard deviations above chance (exact permutation moments).`
    : `There is no sure sign that its winning depends on the topic: Moran's I of what it wins beyond its rating is ${own.moran.toFixed(3)} at ${own.k} neighbours (z ${own.moranZ.toFixed(1)}).`);
}

function colouringOfBattles() {
  const model = chosenModel(), map = mapOf(model);
  const words = { hotWords: "around which it wins more than its rating explains", coldWords: "around which it wins less", names: ["better", "worse"] };
  const test = map && map.k ? `Standard score of what it wins beyond its rating on each prompt's ${map.k} neighbours under conditional permutation (Getis-Ord Gi, exact moments)` : "";
  if (shownOfBattles() === "against") {
    const other = otherModel(), sums = new Float32Array(N), counts = new Uint16Array(N), kind = data.judgeKinds.indexOf(judgedBy());
    const [a, b] = [models.indexOf(model), models.indexOf(other)];
    for (let at = 0; at < fought.score.length; at++) {
      const first = fought.first[at] === a && fought.second[at] === b;
      if (fought.kind[at] !== kind || (!first && (fought.first[at] !== b || fought.second[at] !== a))) continue;
      const point = questions.point[fought.question[at]];
      sums[point] += first ? fought.score[at] / 2 : 1 - fought.score[at] / 2; counts[point]++;
    }
    return { values: Uint8Array.from(sums, (sum, point) => (counts[point] ? Math.round(250 * sum / counts[point]) : NO_RATE)), hot: null, colours: WIN_COLOURS, stops: inWins, low: 0, high: 250,
      words: ["loses", "wins"], of: "outcome of battles with one other model", said: (value) => `${percent(value / 250)} won on it`,
      test: "Each dot by its own battles, nothing averaged or tested; grey: they did not meet on it. The tests are below, under Compare." };
  }
  if (!map) return null;
  if (shownOfBattles() === "beyond") {
    return { values: map.beyond, hot: map.hot, colours: WIN_COLOURS, stops: inWins, low: 62, high: 188, ...words, test,
      words: ["25 points fewer", "25 more"], of: "battles won beyond the rating", said: (value) => `${points(value / 250 - 0.5, 0)} points around it beyond its rating` };
  }
  const values = map.around ?? map.won;
  const [low, high] = once(map, "bounds", () => ownRange(values)), span = Math.max(125 - low, high - 125, 25);
  return { values, hot: map.hot, colours: WIN_COLOURS, stops: inWins, low: 125 - span, high: 125 + span, ...words, test,
    words: [(125 - span) / 250, (125 + span) / 250].map((share) => `${percent(Math.min(Math.max(share, 0), 1))} won`), of: "share of battles won", said: (value) => `${percent(value / 250)} won around it` };
}

function whoWon(point) {
  const all = tally([point]).map((own, at) => ({ ...own, model: models[at] })).filter((one) => one.battles);
  return el("ul", { class: "who" }, all.sort((a, b) => b.score / b.battles - a.score / a.battles).slice(0, 12).map(({ model, score, battles }) =>
    el("li", { class: model === chosenModel() ? "strong" : "" }, bdi(model.model), ` ${percent(score / battles)} of ${battles}`)),
  all.length > 12 ? el("li", { class: "dim" }, `and ${all.length - 12} more`) : null);
}

const expectation = ({ cell }) => `Its rating expects ${percent(cell.expected)} against the same opponents: ${cell.q < data.alpha
  ? `it does ${cell.win_rate > cell.expected ? "better" : "worse"} here than elsewhere (permutation of prompts, q ${chance(cell.q)}).` : `no sure difference (permutation of prompts, q ${chance(cell.q)}).`}`;

function drawBattleRegion() {
  const model = chosenModel(), panel = $("region"), chosen = chosenPoints();
  const bars = (items) => el("ul", { class: "bars" }, items.map(({ name, chosen: own, change, found, label }) => el("li", { class: own ? "chosen" : "" },
    el("a", { href: change, class: "bar-name", "data-region": change.region || null }, ...name),
    el("span", { class: "bar-track" }, el("span", { class: "bar-fill wins", style: { width: `${100 * found.score / (found.battles || 1)}%` } })),
    el("span", { class: "number" }, found.battles ? percent(found.score / found.battles) : "–"),
    rowsLink(count(found.battles), { ...change, rows: "battles" }, label))));
  if (!chosen) {
    const places = [...regions.filter((region) => region.level === 1).map((region) => ({ level: 1, id: region.id, here: pointsIn(region.id) })),
      ...data.questions.subjects.map((subject, number) => ({ level: 0, id: subject, here: everyPoint.filter((point) => subjectOfPoint[point] === number) }))]
      .map((one) => ({ ...one, found: tallyOf(model, one.here) })).filter((one) => one.found.battles);
    const list = (level) => bars(places.filter((one) => one.level === level).sort((a, b) => b.found.score / b.found.battles - a.found.score / a.found.battles)
      .map(({ id, found }) => ({ name: nameOfPlace(level, id), change: { ...placeOf(level, id), rows: "" }, found, label: `List the ${count(found.battles)} battles of ${model.model} in ${level ? nameOfRegion(id) : id}` })));
    fill(panel, el("h3", {}, "Where ", bdi(model.model), " wins most"),
      el("p", { class: "dim small" }, "Share of battles won. Choose a topic here or on the map; the number opens its battles."),
      list(1), data.questions.subjects.length ? [el("h4", {}, "Subjects, as the source names them"), list(0)] : null);
    return;
  }
  const here = chosen.points, all = tally(here), own = all[models.indexOf(model)];
  const region = subjectNumber() >= 0 ? null : regions[regionNumber.get(state.region)];
  const told = cellOf(model, chosenLevel(), chosenName());
  const parts = region ? regions.filter((part) => part.parent === region.id) : [];
  fill(panel,
    el("div", { class: "panel-head" }, el("h3", {}, ...nameOfPlace(chosenLevel(), chosenName())), el("a", { href: { ...everywhere, rows: "" }, class: "close", "aria-label": "Show all prompts" }, "×")),
    region && region.parent ? el("p", { class: "small" }, "part of ", el("a", { href: { region: region.parent, rows: "" } }, ...regionName(region.parent))) : null,
    region && region.phrases.length ? el("p", { class: "dim small" }, bdi(region.phrases.join(", "))) : null,
    own.battles ? el("p", {}, bdi(model.model), ` won ${count(own.won)}, tied ${count(own.tied)} and lost ${count(own.lost)} of ${plural(own.battles, "battle")}${told?.cell ? ` on ${plural(told.cell.prompts, "prompt")}` : ""} here (`, el("strong", {}, percent(own.score / own.battles)),
      told?.cell ? `, 95 % interval ${percent(told.cell.low)} to ${percent(told.cell.high)}, clustered by prompt). ${expectation(told)}` : ").") : el("p", {}, bdi(model.model), " fought no battle here."),
    told ? el("p", { class: "small" }, told.test.q < data.alpha ? `Who wins here is unlike elsewhere, over all models (permutation of prompts, q ${chance(told.test.q)}).` : `Over all models there is no sure sign that who wins here is unlike elsewhere (permutation of prompts, q ${chance(told.test.q)}).`) : null,
    parts.length ? el("p", { class: "chips" }, el("span", { class: "dim small" }, "Parts: "), parts.map((part) => el("a", { class: "chip", href: { region: part.id, rows: "" } }, ...regionName(part.id)))) : null,
    bars(byRating().map((one) => ({ name: [bdi(one.model)], chosen: one === model, change: { model: one.model, rows: "" }, found: all[models.indexOf(one)], label: `List the battles of ${one.model} here` })).filter((one) => one.found.battles)),
    el("h4", {}, `Its battles here (${count(own.battles)})`),
    rowList(battlesOf(model, here).map((battle) => ({ battle })), 8));
}

function drawBattlePlaces() {
  const model = chosenModel();
  const found = chosenLevels().flatMap((one) => {
    const at = one.models.indexOf(models.indexOf(model));
    return one.regions.map((id, row) => ({ level: one.level, id, cell: one.cells[row][at] && asRow(data.cellColumns, one.cells[row][at]) })).filter((place) => place.cell);
  }).sort((a, b) => a.cell.p - b.cell.p);
  const sure = found.filter((one) => one.cell.q < data.alpha).length;
  fill($("hot-title"), "Where ", bdi(model.model), " does better or worse than its rating explains");
  fill($("hot-note"), found.length
    ? `${sure ? `In ${count(sure)} of ${plural(found.length, "topic")} surely so` : `In none of ${plural(found.length, "topic")} surely so`} (permutation of prompts among topics, false discoveries controlled over all models and topics of a level at ${percent(data.alpha)}). Intervals are clustered by prompt; shift is the rating there less the overall one, shrunk by what foretells unseen prompts. Surest first. Where is not why.`
    : "It fought in no topic that has a name.");
  const most = Math.max(0.1, ...found.map(({ cell }) => (cell.prompts > 2 ? Math.abs(cell.win_rate - cell.expected) : 0)));
  fill($("hot-table"), found.length ? table("Topics of a model", ["Topic", "Prompts", "Won (95 %)", "Expected", "Beyond, points", "Shift", "q", "Verdict", "Battles"], found.slice(0, 25).map(({ level, id, cell }) => {
    const place = placeOf(level, id), beyondIt = cell.win_rate - cell.expected;
    return el("tr", { class: (level ? state.region : state.subject) === id ? "chosen" : "" },
      el("th", { scope: "row" }, el("a", { href: { ...place, rows: "" }, "data-to": "map" }, ...nameOfPlace(level, id))),
      numberCell(count(cell.prompts)),
      el("td", { class: "number nowrap whole" }, el("strong", {}, percent(cell.win_rate)), el("span", { class: "dim small" }, ` ${percent(cell.low)} to ${percent(cell.high)}`)),
      numberCell(percent(cell.expected)),
      el("td", { class: "nowrap whole" }, interval(cell.low - cell.expected, beyondIt, cell.high - cell.expected, -most, most, 0), el("span", { class: "small" }, ` ${points(beyondIt, 0)}`)),
      numberCell(signed(cell.shift)), numberCell(chance(cell.q)),
      el("td", {}, cell.q < data.alpha ? el("span", { class: `mark ${beyondIt > 0 ? "better" : "worse"}` }, beyondIt > 0 ? "better" : "worse") : el("span", { class: "dim" }, "no sure difference")),
      el("td", { class: "number" }, rowsLink(count(cell.battles), { ...place, rows: "battles" }, `List the ${count(cell.battles)} battles there`)));
  })) : "");
}

function drawBattleCompare() {
  if (models.length < 2) { fill($("compare-verdict"), el("p", { class: "dim" }, "There is one model only.")); return; }
  const a = chosenModel(), b = otherModel(), kind = judgedBy(), [first, second] = [models.indexOf(a), models.indexOf(b)];
  fill($("compare-controls"), judgeChoice(),
    el("label", { class: "choice" }, el("span", {}, "A"), modelSelect(a, "Model A", (name) => go({ model: name, with: name === b.model ? a.model : b.model, rows: "" }))),
    el("button", { type: "button", onclick: () => go({ model: b.model, with: a.model, rows: "" }), "aria-label": "Swap A and B" }, "⇄"),
    el("label", { class: "choice" }, el("span", {}, "B"), modelSelect(b, "Model B", (name) => go({ model: name === a.model ? b.model : a.model, with: name, rows: "" }))));
  const halves = once(data.differenceErrors, kind, () => column(data.differenceErrors[kind], Float32Array));
  const half = halves[first * models.length + second], own = tallyOf(a, everyPoint, b);
  const gap = ratingOf(a) && ratingOf(b) ? ratingOf(a).rating - ratingOf(b).rating : NaN;
  const name = (model, letter) => [el("strong", {}, bdi(model.model)), ` (${letter})`];
  const listed = data.pairs[kind]?.find((pair) => (pair.modelA === first && pair.modelB === second) || (pair.modelA === second && pair.modelB === first)) ?? null;
  const turned = listed && listed.modelA !== first;
  const rows = listed ? listed.regions.map((values) => {
    const row = asRow(data.pairColumns, values);
    return turned ? { ...row, win_rate: 1 - row.win_rate, low: 1 - row.high, high: 1 - row.low, expected: 1 - row.expected } : row;
  }) : [];
  const [low, high] = turned ? [-listed.high, -listed.low] : [listed?.low, listed?.high];
  const sure = rows.filter((row) => row.q < data.alpha);
  const link = (words, rows) => rowsLink(words, { model: a.model, with: b.model, ...everywhere, rows });
  fill($("compare-verdict"), el("ul", { class: "verdict" },
    el("li", {}, ...name(a, "A"), Number.isNaN(half) || Number.isNaN(gap) ? [" and ", ...name(b, "B"), " cannot be compared: no chain of battles connects them."]
      : [Math.abs(gap) > half ? (gap > 0 ? " is rated above " : " is rated below ") : " and ", ...name(b, "B"), Math.abs(gap) > half ? "" : " cannot be told apart by their ratings",
        `: A's rating less B's is ${signed(gap)} points by all battles judged by ${judgesInWords(kind)}, 95 % interval ${signed(gap - half)} to ${signed(gap + half)} (clustered by prompt). A is expected to win ${percent(expectedScore(gap, 0))} of battles with B.`]),
    el("li", {}, own.battles ? ["In battles with each other A won ", link(count(own.won), "vs_won"), ", tied ", link(count(own.tied), "vs_tied"), " and lost ", link(count(own.lost), "vs_lost"), " of ", link(plural(own.battles, "battle"), "vs_battles"), ` (${percent(own.score / own.battles)}). `,
      listed ? `By these alone A is rated ${signed(turned ? -listed.difference : listed.difference)} points from B, 95 % interval ${signed(low)} to ${signed(high)}${listed.bounded ? "" : ", resting on a prior: one of them won all"}.` : ""] : "They never met: what is known comes from their battles with others."),
    listed ? el("li", {}, sure.length
      ? `Of ${plural(rows.length, "topic")}, in ${count(sure.length)} A fares against B unlike elsewhere (standard scores over permutations of prompts, Student's law, false discoveries controlled over the topics of a level at ${percent(data.alpha)}).`
      : `In none of ${plural(rows.length, "topic")} does A surely fare against B unlike elsewhere (standard scores over permutations of prompts, false discovery rate ${percent(data.alpha)}).`)
      : el("li", { class: "dim" }, `Topics are tested here for the pairs that met on the most prompts, ${data.fewestPrompts} at least. `, own.battles ? [el("code", {}, `errclust battles ${data.benchmark} --model … --against …`), " tests any two."] : "")));
  const levels = [...new Set(rows.map((row) => row.level))], level = levels.includes(Number(state.level)) ? Number(state.level) : levels.includes(1) ? 1 : levels[0];
  const shownRows = rows.filter((row) => row.level === level).sort((one, other) => one.q - other.q || other.battles - one.battles);
  fill($("compare-table"), shownRows.length ? table("Battles of two models by topic", ["Topic", "A won (95 %)", "", "As overall", "q", "Verdict", "Battles"], shownRows.slice(0, 40).map((row) => el("tr", { class: (row.level ? state.region : state.subject) === row.region_id ? "chosen" : "" },
    el("th", { scope: "row" }, el("a", { href: { ...placeOf(row.level, row.region_id), rows: "", show: "against", with: b.model }, "data-to": "map" }, ...nameOfPlace(row.level, row.region_id))),
    el("td", { class: "number nowrap whole" }, el("strong", {}, percent(row.win_rate)), el("span", { class: "dim small" }, ` ${percent(row.low)} to ${percent(row.high)}`)),
    el("td", { class: "nowrap" }, interval(row.low, row.win_rate, row.high, 0, 1, row.expected)),
    numberCell(percent(row.expected)), numberCell(chance(row.q)),
    el("td", { class: "whole" }, row.q < data.alpha ? el("span", { class: `mark ${row.win_rate > row.expected ? "better" : "worse"}` }, `A does ${row.win_rate > row.expected ? "better" : "worse"} than overall`) : el("span", { class: "dim" }, "no sure difference")),
    el("td", { class: "number" }, rowsLink(count(row.battles), { model: a.model, with: b.model, ...placeOf(row.level, row.region_id), rows: "vs_battles" }, `List their ${count(row.battles)} battles there`))))) : "");
  fill($("compare-note"), shownRows.length ? "Share of their battles that A won, a tie being half; the dashed line is their overall share. " : "",
    levels.filter((one) => one !== level).map((one) => el("button", { type: "button", onclick: () => go({ level: String(one) }) }, `Show ${levelName(one)}`)));
}

function battlesOf(model, here, other = null, outcome = null) {
  const inside = new Uint8Array(N), kind = data.judgeKinds.indexOf(judgedBy()), found = [];
  const own = model ? models.indexOf(model) : -1, opponent = other ? models.indexOf(other) : -1;
  for (const point of here) inside[point] = 1;
  for (let at = 0; at < fought.score.length; at++) {
    const a = fought.first[at], b = fought.second[at];
    if (fought.kind[at] !== kind || !inside[questions.point[fought.question[at]]]) continue;
    if (model && a !== own && b !== own) continue;
    if (other && a !== opponent && b !== opponent) continue;
    if (outcome !== null && (a === own ? fought.score[at] : 2 - fought.score[at]) !== outcome) continue;
    found.push(at);
  }
  return found;
}

function battleRows() {
  const [, versus, what] = /^(vs_)?(battles|won|tied|lost|all)$/.exec(state.rows) ?? [];
  if (!what) return null;
  const model = what === "all" ? null : chosenModel(), other = versus && models.length > 1 ? otherModel() : null;
  const chosen = chosenPoints(), here = chosen ? chosen.points : everyPoint;
  const found = battlesOf(model, here, other, { won: 2, tied: 1, lost: 0 }[what] ?? null);
  const told = model && !other && chosen ? cellOf(model, chosenLevel(), chosenName()) : null;
  return {
    title: [{ won: "Battles won by ", tied: "Ties of ", lost: "Battles lost by ", battles: "Battles of ", all: "All battles" }[what], model ? bdi(model.model) : "", other ? [" against ", bdi(other.model)] : "", chosen ? [" in ", ...nameOfPlace(chosenLevel(), chosenName())] : ""],
    claim: [`${plural(found.length, "battle")} judged by ${judgesInWords(judgedBy())}. `, told?.cell ? `It won ${percent(told.cell.win_rate)} (95 % interval ${percent(told.cell.low)} to ${percent(told.cell.high)}, clustered by prompt). ${expectation(told)}` : ""],
    items: found.map((battle) => ({ battle })),
  };
}

function battleNode({ battle }) {
  const question = fought.question[battle], point = questions.point[question], prompt = texts.questions[question] ?? "";
  const [a, b] = [models[fought.first[battle]], models[fought.second[battle]]], score = fought.score[battle];
  const verdict = score === 1 ? [bdi(a.model), " and ", bdi(b.model), " tied"] : [bdi((score ? a : b).model, { class: "gold" }), " beat ", bdi((score ? b : a).model, { class: "said" })];
  const node = el("details", { class: "row" }, el("summary", {}, bdi(prompt.length > 170 ? `${prompt.slice(0, 170)}…` : prompt), el("span", { class: "answers" }, ...verdict, fought.judge[battle] < 0 ? "" : [" · ", bdi(short(texts.judges[fought.judge[battle]]))])));
  const answerOf = (model, number, badge) => el("div", { class: "answer" },
    el("p", {}, bdi(model.model), " ", el("span", { class: `badge ${badge === "won" ? "ok" : badge === "lost" ? "bad" : ""}` }, badge)),
    number < 0 ? el("p", { class: "dim small" }, "What it wrote is not known.") : el("pre", { class: "text response" }, bdi(texts.responses[number])));
  node.addEventListener("toggle", () => {
    if (!node.open || node.childElementCount > 1) return;
    const subject = subjectAt(point), region = regionOf[point] >= 0 ? regions[regionOf[point]].id : null, judge = fought.judge[battle];
    node.append(el("div", { class: "row-body" },
      el("pre", { class: "text" }, bdi(prompt)),
      answerOf(a, fought.responseOfFirst[battle], ["lost", "tied", "won"][score]),
      answerOf(b, fought.responseOfSecond[battle], ["won", "tied", "lost"][score]),
      el("p", { class: "small dim" }, `Judged by ${judgesInWords(data.judgeKinds[fought.kind[battle]])}`, judge < 0 ? "" : [": ", bdi(texts.judges[judge])], ". ",
        subject ? ["Subject: ", el("a", { href: { ...placeOf(0, subject), rows: "" }, "data-to": "map" }, bdi(subject)), ". "] : "",
        region ? ["Region: ", el("a", { href: { ...placeOf(1, region), rows: "" }, "data-to": "map" }, ...regionName(region)), "."] : "")));
  });
  return node;
}

// --------------------------------------------------------------------------------------- page

// What a page of each kind shows where.
const page = ofBattles ? {
  leaderboard: drawRatings, signatures: drawTopics, mapControls: drawBattleMapControls, colouring: colouringOfBattles, whoFared: whoWon,
  region: drawBattleRegion, places: drawBattlePlaces, compare: drawBattleCompare, rows: battleRows,
} : {
  leaderboard: drawLeaderboard, signatures: drawSignatures, mapControls: drawMapControls, colouring, whoFared: (point) => whoFailed(point, null),
  region: drawRegion, places: drawHotRegions, compare: drawCompare, rows: rowsToShow, confidence: drawConfidence, clusters: drawClusters,
};

let before = null;
let scrollTo = null;

function apply() {
  state = readAddress();
  const changed = (...names) => !before || names.some((name) => before[name] !== state[name]);
  $("model").value = chosenModel().model;
  // Links carry the whole state, so what has links is drawn anew when any of it changes.
  const place = ["model", "judged", "region", "subject", "show", "with", "k"];
  if (changed(...place)) page.leaderboard();
  if (changed(...place, "level", "cells")) page.signatures();
  if (changed(...place, "hot", "owner")) { page.mapControls(); drawMap(); page.region(); page.places(); }
  if (changed(...place, "level")) page.compare();
  if (changed(...place, "hot", "owner")) page.confidence?.();
  if (changed("model", "cluster")) page.clusters?.();
  drawRows();
  before = { ...state };
  const unknown = state.model && byName(state.model) < 0;
  const notes = data.notes.map((note) => el("p", { class: "warning small" }, bdi(note)));
  fill($("notes"), notes.length > 2 ? el("details", {}, el("summary", { class: "warning small" }, `Not all of this is complete and up to date: ${plural(notes.length, "note")}`), notes) : notes,
    unknown ? el("p", { class: "warning small" }, "There is no model ", bdi(state.model), " in this report: the first one is shown.") : null);
  if (scrollTo) { const where = scrollTo; scrollTo = null; $(where).scrollIntoView({ block: "start" }); }
}

function start() {
  $("title").textContent = data.benchmark;
  fill($("subtitle"), ofBattles
    ? `Who wins, and where: ${plural(fought.score.length, "battle")} of ${plural(models.length, "model")} on ${plural(N, "distinct prompt")}. Made ${data.made.slice(0, 10)}.`
    : `What ${plural(models.length, "model")} got wrong, and where: ${plural(N, "distinct question")}. Made ${data.made.slice(0, 10)}.`);
  fill($("map-dots"), `Each dot is a ${thing}; ${thing}s alike lie together`);
  for (const [name, there] of [["confidence", someAreSure], ["clusters", !ofBattles]]) {
    $(name).hidden = !there;
    document.querySelector(`[data-section="${name}"]`).hidden = !there;
  }
  if (ofBattles) document.querySelector('[data-section="leaderboard"]').textContent = "Ratings";
  fill($("model"), models.map((model) => el("option", { value: model.model }, model.model)));
  $("model").addEventListener("change", (event) => go({ model: event.target.value, hot: "", cluster: "", rows: "" }));
  for (const tab of document.querySelectorAll("[data-section]")) {
    tab.addEventListener("click", () => { $(tab.dataset.section).scrollIntoView({ block: "start" }); });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!changes.has(link) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.to) scrollTo = link.dataset.to;
    if (!go(changes.get(link))) apply();
  });
  $("rows-close").addEventListener("click", () => go({ rows: "" }));
  $("rows").addEventListener("close", () => { if (state.rows) go({ rows: "" }); });
  $("rows").addEventListener("click", (event) => { if (event.target === $("rows")) go({ rows: "" }); });
  fill($("footer"), `errclust ${data.version}, ${data.made}. Statistics, tests and their limits: the README of errclust, and errclust sql for the tables behind this page. This page loads nothing from anywhere.`);
  if (mapX) listenToMap();
  window.addEventListener("hashchange", apply);
  const asked = readAddress();
  if (!asked.rows) scrollTo = asked.cluster ? "clusters" : asked.with ? "compare" : asked.region || asked.hot || asked.subject ? "map" : null;
  apply();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
  document.documentElement.dataset.script = String(Math.round(performance.now() - started));
  setTimeout(() => withTexts().then(() => { document.documentElement.dataset.texts = String(Math.round(performance.now())); }, () => {}), 50);
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) document.querySelector(`[data-section="${one.target.id}"]`).classList.toggle("here", one.isIntersecting);
  }, { rootMargin: "-45% 0px -50% 0px" });
  for (const section of document.querySelectorAll("main > section")) watcher.observe(section);
}

start();
})();
