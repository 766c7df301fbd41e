// Where tiles come from: the maps that the index names, each tile asked for once and kept a while.

import { readStreetIndex } from "../core/street_index.js";
import { shapesOf } from "./picture.js";
import { decode } from "./tile.js";
import { wordsOf } from "./words.js";

// Decoded tiles that are kept: a large screen shows about 20.
const KEPT_MAX = 80;
// A tile on its way to a slow phone.
const TIMEOUT_MS = 15_000;
// Builds are replaced rarely; a page that lost its tiles asks no more often than this.
const ASK_AGAIN_MS = 60_000;

export class Source {
  constructor(index, { onChange }) {
    this.take(index);
    this.onChange = onChange;
    this.kept = new Map();
    this.askedMs = -Infinity;
  }

  take(index) {
    this.maps = index.maps;
    this.zoomMin = Math.min(...this.maps.map((map) => map.zoom_min));
    this.zoomMax = Math.max(...this.maps.map((map) => map.zoom_max));
  }

  /** The pictures of a tile, one for each map that has it: [{shapes, words}], soon. */
  tile(z, x, y) {
    const key = `${z}/${x}/${y}`;
    const known = this.kept.get(key);
    // The one asked for last stays longest.
    this.kept.delete(key);
    const tile = known ?? Promise.all(
      this.maps.filter((map) => covers(map, z, x, y)).map((map) => this.fetch(map, key)),
    );
    this.kept.set(key, tile);
    if (known === undefined) {
      // What failed is asked for again the next time.
      tile.catch(() => { if (this.kept.get(key) === tile) this.kept.delete(key); });
      if (this.kept.size > KEPT_MAX) this.kept.delete(this.kept.keys().next().value);
    }
    return tile;
  }

  async fetch(map, key) {
    const response = await fetch(`/streets/${map.build}/${key}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "omit",
    });
    // Nothing is to be seen there; it is ground all the same.
    if (response.status === 204) return { shapes: new Map(), words: [] };
    if (response.status === 404) this.askAgain();
    if (response.status !== 200) throw new Error(`tile ${key}: ${response.status}`);
    const layers = decode(new Uint8Array(await response.arrayBuffer()));
    return { shapes: shapesOf(layers), words: wordsOf(layers) };
  }

  // The map was built anew, or removed, since the page was opened.
  async askAgain() {
    if (performance.now() - this.askedMs < ASK_AGAIN_MS) return;
    this.askedMs = performance.now();
    const index = await readStreetIndex();
    if (index === null) return;
    this.take(index);
    this.kept.clear();
    this.onChange();
  }
}

/** Whether a map may have a tile. */
export function covers(map, z, x, y) {
  if (z < map.zoom_min || z > map.zoom_max) return false;
  const side = 2 ** z;
  const left = (x / side) * 360 - 180;
  const right = ((x + 1) / side) * 360 - 180;
  const top = latitudeOf(y / side);
  const bottom = latitudeOf((y + 1) / side);
  return left < map.east && right > map.west && bottom < map.north && top > map.south;
}

const latitudeOf = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
