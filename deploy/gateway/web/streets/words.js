// What is written on a tile: names on points, and names along lines. Pure.

// Kind → size in pixels, weight, colour; from which zoom of the page to which; the order in which
// words take their place: what comes first is never covered by what comes later.
export const STYLES = {
  city: { px: 17, weight: 650, colour: "placeNames", from: 6, to: 14, order: 0 },
  town: { px: 15, weight: 650, colour: "placeNames", from: 9, to: 15, order: 1 },
  village: { px: 13, weight: 600, colour: "placeNames", from: 11, to: 16, order: 2 },
  borough: { px: 12.5, weight: 600, colour: "placeNames", from: 12, to: 16, order: 3 },
  suburb: { px: 12.5, weight: 600, colour: "placeNames", from: 12, to: 16, order: 3 },
  quarter: { px: 12, weight: 600, colour: "names", from: 13, to: 17, order: 4 },
  hamlet: { px: 12, weight: 600, colour: "names", from: 13, to: 17, order: 4 },
  neighbourhood: { px: 11.5, weight: 600, colour: "names", from: 14, to: 17, order: 8 },
  isolated_dwelling: { px: 11, weight: 400, colour: "names", from: 15, to: 19, order: 11 },
  farm: { px: 11, weight: 400, colour: "names", from: 15, to: 19, order: 11 },
  locality: { px: 11, weight: 400, colour: "names", from: 15, to: 19, order: 11 },
  station: { px: 12, weight: 600, colour: "names", from: 14, to: 19, order: 6 },
  peak: { px: 11, weight: 400, colour: "names", from: 13, to: 19, order: 9 },
  water: { px: 12, weight: 400, slant: true, colour: "waterNames", from: 11, to: 19, order: 7 },
  ice: { px: 11, weight: 400, slant: true, colour: "waterNames", from: 12, to: 19, order: 9 },
  park: { px: 11.5, weight: 400, colour: "parkNames", from: 12, to: 19, order: 8 },
  shield: { px: 10.5, weight: 650, colour: "names", from: 11, to: 19, order: 5 },
  main: { px: 12, weight: 500, colour: "names", from: 13, to: 19, order: 6 },
  street: { px: 11.5, weight: 500, colour: "names", from: 15, to: 19, order: 7 },
  path: { px: 11, weight: 400, colour: "names", from: 17, to: 19, order: 10 },
  river: { px: 12, weight: 400, slant: true, colour: "waterNames", from: 13, to: 19, order: 7 },
  stream: { px: 11, weight: 400, slant: true, colour: "waterNames", from: 15, to: 19, order: 10 },
  number: { px: 10.5, weight: 400, colour: "numbers", from: 18, to: 19, order: 12 },
};
const ALONG = {
  motorway: "main", trunk: "main", primary: "main", secondary: "main", tertiary: "main",
  street: "street", walk: "street", service: "path", path: "path",
  river: "river", stream: "stream",
};
// A name on a point is broken into lines of about this many characters.
const LINE_CHARS = 15;
const LINES_MAX = 3;

/** [{style, rank, text}] with `at: {x, y}` for a point or `path` for a line, in units. */
export function wordsOf(layers) {
  const words = [];
  for (const layer of ["name", "number"]) {
    for (const { facts, paths } of layers[layer] ?? []) {
      if (!(facts.kind in STYLES) || typeof facts.name !== "string") continue;
      const word = { style: facts.kind, rank: facts.rank ?? 0, text: facts.name };
      for (const path of paths) {
        for (let i = 0; i + 1 < path.length; i += 2) {
          words.push({ ...word, at: { x: path[i], y: path[i + 1] } });
        }
      }
    }
  }
  for (const layer of ["road", "line"]) {
    for (const { type, facts, paths } of layers[layer] ?? []) {
      const style = ALONG[facts.kind];
      if (type !== "line" || style === undefined) continue;
      for (const path of paths) {
        if (facts.name) words.push({ style, rank: 0, text: facts.name, path, box: boxOf(path) });
        if (facts.ref) {
          words.push({ style: "shield", rank: 0, text: facts.ref, path, box: boxOf(path) });
        }
      }
    }
  }
  return words;
}

/** A name in lines that are about as wide as each other. */
export function linesOf(text) {
  const parts = text.split(" ");
  const count = Math.min(LINES_MAX, parts.length, Math.ceil(text.length / LINE_CHARS));
  const wanted = text.length / count;
  const lines = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const joins = last !== undefined
      && (lines.length === count || last.length + part.length / 2 < wanted);
    if (joins) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(part);
  }
  return lines;
}

function boxOf(path) {
  const box = { west: Infinity, north: Infinity, east: -Infinity, south: -Infinity };
  for (let i = 0; i < path.length; i += 2) {
    box.west = Math.min(box.west, path[i]);
    box.east = Math.max(box.east, path[i]);
    box.north = Math.min(box.north, path[i + 1]);
    box.south = Math.max(box.south, path[i + 1]);
  }
  return box;
}
