// The report's data: the JSON and the packed columns that stand in the page, and questions about
// them that need no choice of the reader's.

import { $ } from "./elements.js";

// When the script began, for the measurement of how long it takes.
export const started = performance.now();

export const data = JSON.parse($("numbers").textContent);

// A report is about a benchmark, whose models err, or a battle set, whose models beat each other.
export const ofBattles = data.kind === "battles";
// What a dot of the map is.
export const unit = ofBattles ? "prompt" : "question";

// ----------------------------------------------------------------------------------- columns

// In columns of rates: not known.
export const NO_RATE = 255;

function bytes(text) {
  const binary = atob(text);
  const unpacked = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) unpacked[at] = binary.charCodeAt(at);
  return unpacked;
}

export const column = (text, Type) =>
  text === null || text === undefined ? null : new Type(bytes(text).buffer);

// Compute a property of an object when it is first asked for.
export const once = (owner, name, make) => (owner[`_${name}`] ??= make());

export const asRow = (names, values) => Object.fromEntries(names.map((name, at) => [name, values[at]]));

// ------------------------------------------------------------------------ questions and models

export const pointCount = data.points;
export const models = data.models;
export const questions = {
  subject: column(data.questions.subject, Int16Array),
  point: column(data.questions.point, Int32Array),
  ofPoint: column(data.questions.ofPoint, Int32Array),
};
export const subjectOfPoint = column(data.questions.subjectOfPoint, Int16Array);

export function subjectAt(point) {
  const question = questions.ofPoint[point];
  const subject = subjectOfPoint ? subjectOfPoint[point] : question < 0 ? -1 : questions.subject[question];
  return data.questions.subjects[subject] ?? null;
}

// For each point, whether a model is wrong (1), right (0) or not counted (-1).
if (!ofBattles) for (const model of models) model.stateOf = column(model.state, Int8Array);

export const errorsOf = (model) =>
  once(model, "errors", () => ({
    question: column(model.errors.question, Int32Array),
    form: column(model.errors.form, Uint8Array),
    cluster: column(model.errors.cluster, Int16Array),
    ofPoint: column(model.errors.ofPoint, Int32Array),
  }));

export const scaleOf = (model, k) => {
  const scale = model.scales.find((candidate) => candidate.k === k);
  return (
    scale &&
    once(scale, "columns", () => ({
      rate: column(scale.rate, Uint8Array),
      hot: column(scale.hot, Int8Array),
      excess: column(scale.excess, Uint8Array),
      beyond: column(scale.beyond, Int8Array),
    }))
  );
};

// How confident a model is; null where that is not known.
export const confidenceOf = (model) =>
  model.uncertainty.absent
    ? null
    : once(model, "confidence", () => ({
        ...model.uncertainty,
        around: column(model.uncertainty.around, Uint8Array),
        hot: column(model.uncertainty.hot, Int8Array),
        size: column(model.uncertainty.size, Uint8Array),
        probability: column(model.uncertainty.probability, Uint8Array),
        corner: column(model.uncertainty.corner, Int8Array),
        confidentlyWrong: model.uncertainty.corners.indexOf("confident_wrong"),
      }));
export const confidenceIsKnown = !ofBattles && models.some((model) => confidenceOf(model));

export const hasDifficulty = (model) => model.scales.some((scale) => scale.excess !== null);

// Errors among some points; points that the model was not asked do not count.
export function rateIn(model, here) {
  let wrong = 0;
  let asked = 0;
  for (const point of here) {
    const state = model.stateOf[point];
    if (state >= 0) {
      asked++;
      wrong += state;
    }
  }
  return { wrong, asked, rate: asked ? wrong / asked : NaN };
}

// ------------------------------------------------------------------------------------ regions

export const mapX = column(data.map.x, Uint16Array);
export const mapY = column(data.map.y, Uint16Array);
export const regions = data.regions;
export const everyPoint = Array.from({ length: pointCount }, (_, point) => point);

const regionNumber = new Map(regions.map((region, number) => [region.id, number]));
const smallestRegion = column(data.map.region, Int16Array);

// The points of each region, near-duplicate questions counted once, those of its parts included.
const pointsOfRegion = new Map(regions.map((region) => [region.id, []]));
for (const point of everyPoint) {
  let id = regionAt(point);
  while (id) {
    pointsOfRegion.get(id)?.push(point);
    id = id.includes(".") ? id.slice(0, id.lastIndexOf(".")) : null;
  }
}

export function regionAt(point) {
  return smallestRegion[point] < 0 ? null : regions[smallestRegion[point]].id;
}
export const isRegion = (id) => pointsOfRegion.has(id);
export const regionOf = (id) => regions[regionNumber.get(id)] ?? null;
export const nameOfRegion = (id) => regionOf(id)?.label ?? id;
export const partsOf = (id) => regions.filter((part) => part.parent === id);
export const pointsIn = (id) => (id ? (pointsOfRegion.get(id) ?? []) : everyPoint);

// -------------------------------------------------------------------------------------- texts

export let texts = null;
let unpacking = null;

async function unpackTexts() {
  const stream = new Blob([bytes($("texts").textContent)])
    .stream()
    .pipeThrough(new DecompressionStream("gzip"));
  texts = JSON.parse(await new Response(stream).text());
  $("texts").textContent = "";
}

// A promise of the texts: they are unpacked once, and not before the pictures are drawn.
export const withTexts = () => (unpacking ??= unpackTexts());
