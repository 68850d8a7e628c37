// Colour scales of the maps and heat maps. They differ in lightness, so that they can be told apart
// with any colour vision: pale to dark, and blue to orange by way of pale.

export const SEQUENTIAL = ["#d9e1ea", "#f2d596", "#ee9f40", "#c85f14", "#7d2c05"];
export const DIVERGING = ["#0b4a8f", "#6fa5d8", "#e3e1dd", "#f0a648", "#a8480a"];
// For wins, blue is more.
export const WINS = [...DIVERGING].reverse();

// Number of steps of a scale.
export const STEPS = 40;

function mix(stops, at) {
  const place = Math.min(Math.max(at, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const share = place - low;
  const [a, b] = [stops[low], stops[low + 1]].map((hex) =>
    [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)),
  );
  return `rgb(${a.map((value, at) => Math.round(value + (b[at] - value) * share)).join(",")})`;
}

const ramp = (stops) => Array.from({ length: STEPS + 1 }, (_, step) => mix(stops, step / STEPS));

export const RATE_COLOURS = ramp(SEQUENTIAL);
export const EXCESS_COLOURS = ramp(DIVERGING);
export const WIN_COLOURS = ramp(WINS);

// The colour of text on a step of a scale, 0 to 1.
export const onColour = (at) => (at > 0.8 || at < 0.12 ? "#fff" : "#1b2430");
