// Where words stand so that none covers another. Pure: places in pixels of the page.

// Words are kept apart by circles along them: a turned box is then as easy as a straight one.
const CELL_PX = 64;
// Free room round each.
const GAP_PX = 3;
// The same name is not said again nearer than this.
const REPEAT_PX = 320;
// Names stand on a long line this far apart.
const EVERY_PX = 480;
// A stretch that bends more than this is no place for a name: share of its length, and pixels.
const STRAIGHT_SHARE = 0.965;
const BEND_PX = 5;
// Tried along a line, as shares of the room there is, from its middle outwards.
const TRIED = [0.5, 0.35, 0.65, 0.2, 0.8, 0.05, 0.95];

/** Takes places, and says whether one is free. */
export class Room {
  constructor() {
    this.cells = new Map();
    this.said = new Map();
  }

  /** Take a row of circles if all of it is free: {x, y, half, height, angle}. */
  take({ x, y, half, height, angle }) {
    const radius = height / 2 + GAP_PX;
    const steps = Math.max(1, Math.ceil(half / radius));
    const circles = [];
    for (let i = -steps; i <= steps; i += 1) {
      const far = (i / steps) * Math.max(0, half - height / 2);
      circles.push({ x: x + far * Math.cos(angle), y: y + far * Math.sin(angle), radius });
    }
    if (circles.some((circle) => this.isTaken(circle))) return false;
    for (const circle of circles) this.add(circle);
    return true;
  }

  /** Whether a name may be said here: not within `far` pixels of itself. */
  mayRepeat(text, x, y, far = REPEAT_PX) {
    const places = this.said.get(text) ?? [];
    return places.every((place) => (place.x - x) ** 2 + (place.y - y) ** 2 > far ** 2);
  }

  say(text, x, y) {
    if (!this.said.has(text)) this.said.set(text, []);
    this.said.get(text).push({ x, y });
  }

  isTaken(circle) {
    const { x, y, radius } = circle;
    const column = Math.floor(x / CELL_PX);
    const row = Math.floor(y / CELL_PX);
    for (let i = column - 1; i <= column + 1; i += 1) {
      for (let j = row - 1; j <= row + 1; j += 1) {
        for (const other of this.cells.get(`${i}/${j}`) ?? []) {
          const near = radius + other.radius - GAP_PX;
          if ((other.x - x) ** 2 + (other.y - y) ** 2 < near ** 2) return true;
        }
      }
    }
    return false;
  }

  add(circle) {
    const key = `${Math.floor(circle.x / CELL_PX)}/${Math.floor(circle.y / CELL_PX)}`;
    if (!this.cells.has(key)) this.cells.set(key, []);
    this.cells.get(key).push(circle);
  }
}

/** Where a name of `width` may stand on a line of x, y, x, y…, read from the left: for each stretch
 * that it should stand on once, the places {x, y, angle}, the best first. */
export function placesOnLine(path, width, height) {
  const lengths = lengthsOf(path);
  const all = lengths.at(-1);
  if (all < width * 1.05) return [];
  const count = Math.max(1, Math.min(Math.floor(all / EVERY_PX), Math.floor(all / width)));
  const stretch = all / count;
  const stretches = [];
  for (let i = 0; i < count; i += 1) {
    const begins = TRIED.map((share) => stretch * i + (stretch - width) * share);
    stretches.push(begins
      .map((begin) => straight(path, lengths, begin, width, height))
      .filter((place) => place !== null));
  }
  return stretches;
}

function lengthsOf(path) {
  const lengths = [0];
  for (let i = 2; i < path.length; i += 2) {
    const step = Math.hypot(path[i] - path[i - 2], path[i + 1] - path[i - 1]);
    lengths.push(lengths.at(-1) + step);
  }
  return lengths;
}

// The stretch of a line from `begin` on, if it is straight enough for a name.
function straight(path, lengths, begin, width, height) {
  const from = pointAt(path, lengths, begin);
  const to = pointAt(path, lengths, begin + width);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const chord = Math.hypot(dx, dy);
  if (chord < width * STRAIGHT_SHARE) return null;
  for (let i = from.after; i < to.after; i += 1) {
    const [x, y] = [path[2 * i] - from.x, path[2 * i + 1] - from.y];
    if (Math.abs(x * dy - y * dx) / chord > Math.max(BEND_PX, height / 3)) return null;
  }
  const angle = Math.atan2(dy, dx);
  const turned = Math.abs(angle) > Math.PI / 2 ? angle - Math.sign(angle) * Math.PI : angle;
  return { x: from.x + dx / 2, y: from.y + dy / 2, angle: turned };
}

// The point of a line at a length, and the number of the corner after it.
function pointAt(path, lengths, length) {
  let [low, high] = [1, lengths.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lengths[middle] < length) low = middle + 1;
    else high = middle;
  }
  const step = lengths[low] - lengths[low - 1];
  const share = step > 0 ? Math.min(1, (length - lengths[low - 1]) / step) : 0;
  const mix = (a, b) => a + (b - a) * share;
  return {
    x: mix(path[2 * low - 2], path[2 * low]),
    y: mix(path[2 * low - 1], path[2 * low + 1]),
    after: low,
  };
}
