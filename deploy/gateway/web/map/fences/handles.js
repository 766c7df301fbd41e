// The open fence on the map, and the handles that change it: by mouse, finger or key.

import { layerOf, widthPx } from "./layer.js";
import {
  eastOf, edgesOf, metres, middleOf, movedTo, withCorner, withPoint, withoutCorner,
} from "./shapes.js";

const L = window.L;
// More corners than these are no work for hands: such a fence is moved as a whole.
const CORNERS_MAX = 60;
const RADIUS_M = [1, 100_000];
const STEP_PX = 4;
const LEAP_PX = 40;
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

export class FenceHandles {
  /** `onChange(shape)` is told of every change. */
  constructor(map, onChange) {
    this.map = map;
    this.onChange = onChange;
    this.shape = null;
    this.group = L.layerGroup().addTo(map);
    map.on("zoomend", () => this.drawShape());
  }

  show(shape) {
    this.shape = shape;
    this.draw();
  }

  clear() {
    this.shape = null;
    this.group.clearLayers();
  }

  /** Whether every corner has a handle. */
  get isFine() {
    return this.shape.parts.flat(2).length <= CORNERS_MAX;
  }

  draw() {
    this.group.clearLayers();
    this.layer = null;
    this.drawShape();
    this.handles = [];
    const { shape } = this;
    this.add("whole", middleOf(shape), "Move the geofence", {
      move: (point) => this.change(movedTo(this.shape, point)),
    });
    if (shape.kind === "circle") this.addRadius();
    else if (this.isFine) this.addCorners();
  }

  addRadius() {
    const place = () => eastOf(this.shape.parts[0][0][0], this.shape.radiusM);
    const radius = this.add("corner", place(), "Change the radius", {
      move: (point) => {
        const reachM = metres(this.shape.parts[0][0][0], point);
        const radiusM = Math.round(Math.max(RADIUS_M[0], Math.min(RADIUS_M[1], reachM)));
        this.change({ ...this.shape, radiusM });
      },
    });
    radius.place = place;
  }

  addCorners() {
    let count = 0;
    this.shape.parts.forEach((rings, part) => rings.forEach((ring, number) => {
      ring.forEach((point, place) => {
        const at = [part, number, place];
        count += 1;
        const corner = this.add("corner", point, `Corner ${count}`, {
          move: (to) => this.change(withPoint(this.shape, at, to)),
          remove: () => this.redraw(withoutCorner(this.shape, at)),
        });
        corner.place = () => this.shape.parts[part][number][place];
      });
    }));
    for (const { at, point } of edgesOf(this.shape)) {
      const add = (to) => this.redraw(withCorner(this.shape, at, to), [at[0], at[1], at[2] + 1]);
      const edge = this.add("edge", point, "Add a corner", { drop: add, press: () => add(point) });
      edge.place = () => edgesOf(this.shape).find((e) => String(e.at) === String(at)).point;
    }
  }

  // `move` while it is dragged, `drop` once it was; `press` and `remove` by click and by key.
  add(kind, [lng, lat], label, { move, drop, press, remove }) {
    const icon = L.divIcon({ className: `fence-handle ${kind}`, iconSize: [22, 22] });
    const options = { icon, draggable: true, keyboard: true, autoPan: true, title: label };
    const marker = L.marker([lat, lng], options).addTo(this.group);
    const handle = { marker, place: () => middleOf(this.shape) };
    const element = marker.getElement();
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", remove ? `${label}. Delete removes it` : label);
    const point = () => [marker.getLatLng().lng, marker.getLatLng().lat];
    marker.on("dragstart", () => { this.dragged = handle; });
    marker.on("drag", () => move?.(point()));
    marker.on("dragend", () => {
      this.dragged = null;
      drop?.(point());
      this.settle();
    });
    if (press) marker.on("click", () => press());
    if (remove) marker.on("dblclick contextmenu", () => remove());
    element.addEventListener("keydown", (event) => {
      if (event.key in ARROWS) this.nudge(event, marker, move ?? drop);
      else if (press && (event.key === "Enter" || event.key === " ")) press();
      else if (remove && (event.key === "Delete" || event.key === "Backspace")) remove();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.handles?.push(handle);
    return handle;
  }

  nudge(event, marker, move) {
    const px = event.shiftKey ? LEAP_PX : STEP_PX;
    const [x, y] = ARROWS[event.key];
    const at = this.map.latLngToContainerPoint(marker.getLatLng()).add([x * px, y * px]);
    const { lng, lat } = this.map.containerPointToLatLng(at);
    marker.setLatLng([lat, lng]);
    move([lng, lat]);
    this.settle();
  }

  change(shape) {
    this.shape = shape;
    this.drawShape();
    this.settle();
    this.onChange(shape);
  }

  // Corners came or went: draw all handles anew, and stay at the one that was worked with.
  redraw(shape, at = null) {
    if (shape === this.shape) return;
    this.show(shape);
    this.onChange(shape);
    const corners = this.shape.parts.flatMap((rings, part) =>
      rings.flatMap((ring, number) => ring.map((_, place) => String([part, number, place]))));
    const next = at === null ? 0 : corners.indexOf(String(at)) + 1;
    this.handles[next]?.marker.getElement().focus({ preventScroll: true });
  }

  settle() {
    for (const handle of this.handles) {
      if (handle === this.dragged) continue;
      const [lng, lat] = handle.place();
      handle.marker.setLatLng([lat, lng]);
    }
  }

  drawShape() {
    if (this.shape === null) return;
    this.layer?.remove();
    this.layer = layerOf(this.shape, { className: "fence-open", interactive: false });
    this.layer.addTo(this.group);
    if (this.shape.kind !== "corridor") return;
    this.layer.getElement().classList.add("corridor");
    this.layer.setStyle({ weight: widthPx(this.map, this.shape) });
  }
}
