// What the reader has chosen. It stands in the address, so that a link carries it and the back
// button undoes it; nothing else remembers a choice.

const DEFAULTS = {
  model: "",
  with: "",
  region: "",
  show: "errors",
  k: "",
  level: "1",
  cells: "",
  cluster: "",
  rows: "",
  hot: "",
  owner: "",
  judged: "",
  subject: "",
};

export let state = { ...DEFAULTS };

export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (given.has(name)) read[name] = given.get(name);
  return read;
}

export function followAddress() {
  state = readAddress();
}

export function address(change) {
  const next = { ...state, ...change };
  if (!next.hot) next.owner = "";
  const written = new URLSearchParams();
  for (const [name, value] of Object.entries(next))
    if (value && value !== DEFAULTS[name]) written.set(name, value);
  return `#${written.toString()}`;
}

// Change the state; false if it is that already.
export function go(change) {
  const next = address(change);
  if (next === (location.hash || "#")) return false;
  // An empty address would scroll the page to its top.
  location.hash = next === "#" ? "#model=" : next;
  return true;
}
