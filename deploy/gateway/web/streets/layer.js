// Streets as tiles that this page draws itself: Leaflet moves them, a canvas each.

import { colours } from "./palette.js";
import { draw, EXTENT } from "./picture.js";

const L = window.L;
const SHOWN_PX = 512;
// Sharper than this nobody sees, and each tile takes four times the memory.
const RATIO_MAX = 2;

export const StreetLayer = L.GridLayer.extend({
  options: { tileSize: SHOWN_PX, keepBuffer: 1, updateWhenZooming: false, className: "streets" },

  initialize(source, options) {
    this.source = source;
    L.GridLayer.prototype.initialize.call(this, options);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  },

  /** The zoom of tiles that are shown at a zoom of the page, and how often they are doubled. */
  depthOf(zoom) {
    const z = Math.min(zoom - 1, this.source.zoomMax);
    return { z, side: 2 ** (zoom - 1 - z) };
  },

  createTile(coords, done) {
    const canvas = document.createElement("canvas");
    const { z, side } = this.depthOf(coords.z);
    this.source.tile(z, Math.floor(coords.x / side), Math.floor(coords.y / side)).then(
      (pictures) => {
        canvas.pictures = pictures;
        this.paint(canvas, coords);
        done(null, canvas);
      },
      (error) => done(error, canvas),
    );
    return canvas;
  },

  // A tile that shows nothing stays empty: the bare grid is seen through it.
  paint(canvas, coords) {
    if (!canvas.pictures?.length) return;
    const ratio = Math.min(RATIO_MAX, window.devicePixelRatio || 1);
    const { side } = this.depthOf(coords.z);
    canvas.width = canvas.height = SHOWN_PX * ratio;
    const context = canvas.getContext("2d", { alpha: false });
    const palette = colours(matchMedia("(prefers-color-scheme: dark)").matches);
    context.fillStyle = palette.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const place = { x: -(coords.x % side) * SHOWN_PX, y: -(coords.y % side) * SHOWN_PX };
    const scale = (SHOWN_PX * side) / EXTENT;
    for (const { shapes } of canvas.pictures) {
      draw(context, shapes, { zoom: coords.z, scale, place, ratio, colours: palette });
    }
  },

  /** Draw anew what is shown: the scheme has changed. */
  repaint() {
    for (const { coords, el } of Object.values(this._tiles ?? {})) {
      this.paint(el, this._wrapCoords(coords));
    }
    this.fire("repaint");
  },

  /** The tiles that are seen: [{pictures, x, y, side}], each once though its parts are many. */
  tilesShown() {
    const shown = new Map();
    const { side } = this.depthOf(this._map.getZoom());
    for (const { coords, el } of Object.values(this._tiles ?? {})) {
      if (coords.z !== this._tileZoom || !el.pictures) continue;
      const [x, y] = [Math.floor(coords.x / side), Math.floor(coords.y / side)];
      shown.set(`${x}/${y}`, { pictures: el.pictures, x, y, side });
    }
    return shown.values();
  },
});
