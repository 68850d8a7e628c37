// Numbers and names as words: counts, shares, p values, shortened texts.

export const count = (number) => number.toLocaleString("en-US");

export const percent = (share, digits = 0) =>
  share === null || share === undefined || Number.isNaN(share)
    ? "–"
    : `${(100 * share).toFixed(digits)}\u00a0%`;

// With a sign of its own width; what rounds to zero has none.
export function signed(value, digits = 0) {
  const size = Math.abs(value).toFixed(digits);
  if (Number(size) === 0) return size;
  return `${value > 0 ? "+" : "−"}${size}`;
}

// A difference of two shares in percentage points.
export const points = (share, digits = 1) => signed(100 * share, digits);

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

export function pValue(p) {
  if (p === null || p === undefined) return "–";
  if (p < 1e-300) return "< 1e-300";
  return p < 0.001 ? p.toExponential(0) : p.toFixed(3);
}

// "p = 0.010" or "q < 1e-300", for use within a sentence.
export const pInWords = (letter, p) =>
  pValue(p).startsWith("<") ? `${letter} ${pValue(p)}` : `${letter} = ${pValue(p)}`;

export const spaced = (name) => name.replaceAll("_", " ");

export const shortened = (text, longest) => (text.length > longest ? `${text.slice(0, longest)}…` : text);

export const shortAnswer = (text) =>
  text === null || text === undefined ? "no answer" : shortened(text, 60);
