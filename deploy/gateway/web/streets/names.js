// The names of streets and places: one canvas over the tiles, so that no edge cuts a word.

import { colours } from "./palette.js";
import { EXTENT } from "./picture.js";
import { placesOnLine, Room } from "./placing.js";
import { linesOf, STYLES } from "./words.js";

const L = window.L;
const SHOWN_PX = 512;
// The canvas is this share larger than the view on each side: names are there while it is dragged.
const PADDING = 0.25;
const HALO_PX = 3;
const LINE_HEIGHT = 1.15;
const NUMBER_REPEAT_PX = 70;
// Widths of words are remembered; more than these are no map but a fault.
const WIDTHS_MAX = 5_000;
const RATIO_MAX = 3;

export const NameLayer = L.Layer.extend({
  /** `streets`: the layer whose tiles the names are of. */
  initialize(streets) {
    this.streets = streets;
    this.widths = new Map();
    this.frame = 0;
  },

  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "street-names leaflet-zoom-animated");
    this.canvas.setAttribute("aria-hidden", "true");
    // Above the tiles, below everything that the pages show.
    const pane = map.getPane("street-names") ?? map.createPane("street-names");
    pane.style.zIndex = 250;
    pane.style.pointerEvents = "none";
    pane.append(this.canvas);
    this.family = getComputedStyle(map.getContainer()).fontFamily;
    this.streets.on("load tileload tileunload repaint", this.refresh, this);
    this.refresh();
  },

  onRemove() {
    this.streets.off("load tileload tileunload repaint", this.refresh, this);
    cancelAnimationFrame(this.frame);
    this.canvas.remove();
  },

  getEvents() {
    const { refresh, follow, zoom } = this;
    return { move: follow, moveend: refresh, resize: refresh, viewreset: refresh, zoomanim: zoom };
  },

  /** Draw soon. */
  refresh() {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this._map && !this._map._animatingZoom) this.draw();
    });
  },

  // While the map is dragged the canvas moves along; it is drawn again where its edge comes in.
  follow() {
    if (this.drawn === undefined || this.drawn.zoom !== this._map.getZoom()) return;
    const view = this._map.getPixelBounds();
    if (!this.drawn.bounds.contains(view)) this.refresh();
  },

  zoom({ zoom, center }) {
    if (this.drawn === undefined) return;
    const scale = this._map.getZoomScale(zoom, this.drawn.zoom);
    const corner = this._map._latLngToNewLayerPoint(this.drawn.corner, zoom, center);
    L.DomUtil.setTransform(this.canvas, corner, scale);
  },

  draw() {
    const map = this._map;
    const zoom = map.getZoom();
    const size = map.getSize();
    const pad = size.multiplyBy(PADDING).round();
    const view = map.getPixelBounds();
    const bounds = L.bounds(view.min.subtract(pad), view.max.add(pad));
    this.drawn = { zoom, bounds, corner: map.unproject(bounds.min, zoom) };
    const context = this.prepare(map, bounds.getSize(), pad);
    this.palette = colours(matchMedia("(prefers-color-scheme: dark)").matches);
    context.lineJoin = "round";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const room = new Room();
    for (const { word, ...where } of this.wordsIn(bounds, zoom)) {
      if (word.path === undefined) this.writeAt(context, room, word, where, bounds);
      else this.writeAlong(context, room, word, where, bounds);
    }
  },

  prepare(map, size, pad) {
    const ratio = Math.min(RATIO_MAX, window.devicePixelRatio || 1);
    const [width, height] = [size.x * ratio, size.y * ratio].map(Math.round);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.width = `${size.x}px`;
      this.canvas.style.height = `${size.y}px`;
    }
    L.DomUtil.setTransform(this.canvas, map.containerPointToLayerPoint(pad.multiplyBy(-1)), 1);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.x, size.y);
    return context;
  },

  // Words of the tiles in `bounds`, what matters most first; the order is the same everywhere.
  wordsIn(bounds, zoom) {
    const found = [];
    for (const { pictures, x, y, side } of this.streets.tilesShown()) {
      const scale = (SHOWN_PX * side) / EXTENT;
      const origin = { x: x * SHOWN_PX * side, y: y * SHOWN_PX * side };
      for (const word of pictures.flatMap((picture) => picture.words)) {
        const style = STYLES[word.style];
        if (zoom < style.from || zoom > style.to) continue;
        if (isNear(word, origin, scale, bounds)) found.push({ word, scale, origin });
      }
    }
    const order = ({ word }) => STYLES[word.style].order * 16 + word.rank;
    const text = ({ word }) => word.text;
    return found.sort((a, b) => order(a) - order(b) || (text(a) < text(b) ? -1 : 1));
  },

  writeAt(context, room, word, { scale, origin }, bounds) {
    const style = STYLES[word.style];
    const x = origin.x + word.at.x * scale;
    const y = origin.y + word.at.y * scale;
    const lines = linesOf(word.text);
    const widths = lines.map((line) => this.widthOf(context, style, line));
    const step = style.px * LINE_HEIGHT;
    const rows = lines.map((_, i) => y + (i - (lines.length - 1) / 2) * step);
    // Each door of a house has its number.
    const far = word.style === "number" ? NUMBER_REPEAT_PX : undefined;
    if (!room.mayRepeat(word.text, x, y, far)) return;
    // A name stands whole or not at all: its widest line is taken for each.
    const half = Math.max(...widths) / 2;
    const height = step * lines.length;
    if (!room.take({ x, y, half, height, angle: 0 })) return;
    room.say(word.text, x, y);
    lines.forEach((line, i) => {
      this.write(context, style, line, { x: x - bounds.min.x, y: rows[i] - bounds.min.y, angle: 0 });
    });
  },

  writeAlong(context, room, word, { scale, origin }, bounds) {
    const style = STYLES[word.style];
    const width = this.widthOf(context, style, word.text);
    const path = word.path.map((value, i) => value * scale + (i % 2 ? origin.y : origin.x));
    const isShield = word.style === "shield";
    const height = style.px * LINE_HEIGHT;
    for (const places of placesOnLine(path, width, style.px)) {
      const free = places.find(({ x, y, angle }) => room.mayRepeat(word.text, x, y)
        && room.take({ x, y, half: width / 2, height, angle: isShield ? 0 : angle }));
      if (free === undefined) continue;
      room.say(word.text, free.x, free.y);
      const [x, y] = [free.x - bounds.min.x, free.y - bounds.min.y];
      if (isShield) this.drawShield(context, width, style, { x, y });
      this.write(context, style, word.text, { x, y, angle: isShield ? 0 : free.angle });
    }
  },

  drawShield(context, width, { px }, { x, y }) {
    const [wide, high] = [width + 8, px + 6];
    context.fillStyle = this.palette.shield;
    context.beginPath();
    context.roundRect(x - wide / 2, y - high / 2, wide, high, 4);
    context.fill();
  },

  write(context, style, text, { x, y, angle }) {
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.font = this.fontOf(style);
    context.lineWidth = HALO_PX;
    context.strokeStyle = this.palette.halo;
    context.strokeText(text, 0, 0);
    context.fillStyle = this.palette[style.colour];
    context.fillText(text, 0, 0);
    context.restore();
  },

  fontOf({ px, weight, slant }) {
    return `${slant ? "italic " : ""}${weight} ${px}px ${this.family}`;
  },

  widthOf(context, style, text) {
    const key = `${style.px}/${style.weight}/${text}`;
    if (!this.widths.has(key)) {
      if (this.widths.size >= WIDTHS_MAX) this.widths.clear();
      context.font = this.fontOf(style);
      this.widths.set(key, context.measureText(text).width);
    }
    return this.widths.get(key);
  },
});

function isNear({ at, box }, origin, scale, bounds) {
  const { west, east, north, south } = box ?? { west: at.x, east: at.x, north: at.y, south: at.y };
  return origin.x + west * scale < bounds.max.x && origin.x + east * scale > bounds.min.x
    && origin.y + north * scale < bounds.max.y && origin.y + south * scale > bounds.min.y;
}
