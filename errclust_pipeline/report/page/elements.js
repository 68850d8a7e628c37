// Elements: makers of HTML and SVG nodes, links, buttons, tables and the small pictures in them.
// Third-party text reaches the page through text nodes only: nothing here parses markup.

import { address } from "./state.js";
import { percent } from "./words.js";

const SVG_NAMES = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

// The change of state that each link stands for: its address is computed when it is followed.
export const changeOfLink = new WeakMap();

const present = (child) => child !== null && child !== undefined;

export function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "style") Object.assign(node.style, value);
    else if (name === "href") {
      node.href = address(value);
      changeOfLink.set(node, value);
    } else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter(present));
  return node;
}

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG_NAMES, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(3).filter(present));
}

// Third-party text: a change of writing direction in it ends with the element.
export const bdi = (text, attributes) => el("bdi", attributes, present(text) ? String(text) : "–");

// ------------------------------------------------------------------------ links and controls

// A number that opens the rows behind it.
export const rowsLink = (text, change, label) =>
  el("a", { href: change, class: "rows-link", "aria-label": label }, text);

export const button = (text, pressed, onclick) =>
  el("button", { type: "button", "aria-pressed": String(pressed), onclick }, text);

export const choice = (label, ...buttons) =>
  el(
    "div",
    { class: "choice", role: "group", "aria-label": label },
    el("span", {}, label),
    el("span", { class: "segments" }, ...buttons),
  );

export const labelled = (label, control) => el("label", { class: "choice" }, el("span", {}, label), control);

// ------------------------------------------------------------------------------------ tables

export const numberCell = (...content) => el("td", { class: "number" }, ...content);

export const rankCell = (rank) => el("td", { class: "number rank" }, String(rank));

export const dim = (text) => el("span", { class: "dim" }, text);

export const dimSmall = (text) => el("span", { class: "dim small" }, text);

// A value with its 95 % interval.
export const rangeCell = (value, low, high, written = percent) =>
  el(
    "td",
    { class: "number nowrap whole" },
    el("strong", {}, written(value)),
    dimSmall(` ${written(low)} to ${written(high)}`),
  );

export function table(caption, heads, rows) {
  // On a phone each row is a card, whose cells name their column themselves.
  for (const row of rows) {
    [...row.children].forEach((cell, at) => {
      if (typeof heads[at] === "string") cell.dataset.label = heads[at];
    });
  }
  const numeric = (at) => rows[0]?.children[at]?.classList.contains("number");
  return el(
    "table",
    {},
    el("caption", { class: "visually-hidden" }, caption),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        heads.map((head, at) =>
          typeof head === "string"
            ? el("th", { scope: "col", class: numeric(at) ? "number" : "" }, head)
            : head,
        ),
      ),
    ),
    el("tbody", {}, rows),
  );
}

export const scrolling = (content) => el("div", { class: "scroll" }, content);

// What the columns of a table mean, folded away: pairs of a column's heading and its meaning.
export const columnNotes = (notes) =>
  el(
    "details",
    { class: "column-notes small dim" },
    el("summary", {}, "What the columns mean"),
    el(
      "dl",
      {},
      notes.filter(Boolean).map(([head, meaning]) => [el("dt", {}, head), el("dd", {}, meaning)]),
    ),
  );

// ---------------------------------------------------------------------------------- pictures

// An interval as a line with a dot; `reference` is where a dashed line stands.
export function interval(low, middle, high, least, most, reference) {
  const [wide, tall] = [140, 18];
  const at = (value) =>
    4 + ((wide - 8) * (Math.min(Math.max(value, least), most) - least)) / (most - least || 1);
  const picture = svg("svg", {
    viewBox: `0 0 ${wide} ${tall}`,
    width: wide,
    height: tall,
    "aria-hidden": "true",
    class: "interval",
  });
  picture.append(svg("line", { x1: 4, x2: wide - 4, y1: 9, y2: 9, stroke: "#dde3ea" }));
  if (reference !== undefined) {
    picture.append(
      svg("line", {
        x1: at(reference),
        x2: at(reference),
        y1: 1,
        y2: 17,
        stroke: "#8a96a5",
        "stroke-dasharray": "2 2",
      }),
    );
  }
  picture.append(
    svg("line", {
      x1: at(low),
      x2: at(high),
      y1: 9,
      y2: 9,
      stroke: "#1f5fa8",
      "stroke-width": 3,
      "stroke-linecap": "round",
    }),
    svg("circle", { cx: at(middle), cy: 9, r: 4.5, fill: "#0b4a8f" }),
  );
  return picture;
}

// The legend of a colour scale.
export function gradient(stops) {
  const id = `ramp-${stops[0].slice(1)}`;
  const bar = svg("svg", { viewBox: "0 0 120 10", width: 120, height: 10, "aria-hidden": "true" });
  const ramp = svg("linearGradient", { id });
  stops.forEach((stop, at) =>
    ramp.append(svg("stop", { offset: at / (stops.length - 1), "stop-color": stop })),
  );
  bar.append(svg("defs", {}, ramp), svg("rect", { width: 120, height: 10, rx: 2, fill: `url(#${id})` }));
  return bar;
}
