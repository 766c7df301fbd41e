// Geofences on the operators' map: listed, drawn, opened, changed, stored.

import { countText } from "../../core/age.js";
import { byId, create, setShown, setText } from "../../core/dom.js";
import { faultText, getJson, sendJson } from "../../core/request.js";
import { FenceCard } from "./card.js";
import { FenceHandles } from "./handles.js";
import { FenceLayer } from "./layer.js";
import { boxOf, geometryOf, movedTo, newId, newShape, readFence } from "./shapes.js";

const L = window.L;
const PATH = "/api/v1/geofences";
const PAGE = 1_000;
// Pages that are shown: a map with more is no map any more.
const PAGES_MAX = 5;
const LISTED_MAX = 200;
// What others change is seen after this.
const LOOK_MS = 30_000;
const HINTS = {
  circle: "Drag the middle or the edge. By key: Tab to a handle, then the arrows.",
  area: "Drag corners; the small dots add one, a double click or Delete removes one.",
  corridor: "Drag corners; the small dots add one, a double click or Delete removes one.",
  coarse: "It has many corners, so it is moved as a whole.",
  fresh: "Click the map to put it there, and drag its handles.",
};

export class Fences {
  constructor({ map, token, calm, paddings, onOpen, onDriver }) {
    Object.assign(this, { map, token, calm, paddings, onOpen });
    this.layer = new FenceLayer(map);
    this.handles = new FenceHandles(map, (shape) => this.reshape(shape));
    this.card = new FenceCard({
      token,
      onEdit: (edited) => this.edit(edited),
      onSave: () => this.save(),
      onDelete: () => this.delete(),
      onClose: () => this.close(),
      onDriver,
    });
    // The open fence as it is on the screen, and whether that is stored.
    this.fence = null;
    this.changed = false;
    byId("fence-circle").addEventListener("click", () => this.add("circle"));
    byId("fence-area").addEventListener("click", () => this.add("area"));
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.fence !== null) this.close();
    });
  }

  /** Read them, now and again. */
  start() {
    this.load();
    this.looking = setInterval(() => { if (!document.hidden && this.fence === null) this.load(); }, LOOK_MS);
  }

  /** Show nothing any more. */
  end() {
    clearInterval(this.looking);
    this.close();
    this.set([]);
  }

  async load() {
    const rows = [];
    let cursor = "";
    for (let page = 0; page < PAGES_MAX && cursor !== null; page += 1) {
      const after = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await getJson(`${PATH}?limit=${PAGE}${after}`, { token: this.token });
      if (status === 403) return setShown(byId("fences"), false);
      if (status !== 200) return setText(byId("fences-count"), "cannot be read now");
      rows.push(...body.geofences);
      cursor = body.next_cursor;
    }
    this.more = cursor !== null;
    return this.set(rows.map(readFence));
  }

  set(fences) {
    this.layer.set(fences);
    const count = countText(fences.length);
    setText(byId("fences-count"), this.more ? `${count} of more` : count);
    const list = byId("fence-list");
    const shown = [...fences].sort((a, b) => a.name.localeCompare(b.name)).slice(0, LISTED_MAX);
    list.replaceChildren(...shown.map((fence) => {
      const button = create("button", fence.active ? "" : "is-off", fence.name);
      button.type = "button";
      button.addEventListener("click", () => { if (this.open(fence)) this.look(fence.shape); });
      const row = create("li");
      row.append(button);
      return row;
    }));
  }

  /** A click on the map where no driver is; whether it was for the fences. */
  click(latLng) {
    if (this.fence?.row === null) {
      this.reshape(movedTo(this.fence.shape, [latLng.lng, latLng.lat]));
      this.handles.show(this.fence.shape);
      return true;
    }
    const fence = this.layer.at(latLng);
    if (fence === null) return false;
    if (fence.id !== this.fence?.id) this.open(fence);
    return true;
  }

  /** Whether something would be lost by opening another thing; then it says so. */
  keeps() {
    if (!this.changed) return false;
    this.card.say("There are changes. Save them, or close to drop them.");
    return true;
  }

  open(fence) {
    if (this.keeps()) return false;
    this.onOpen();
    this.fence = { ...fence };
    this.changed = fence.row === null;
    this.layer.open(fence.id);
    this.handles.show(fence.shape);
    const { kind } = fence.shape;
    const hint = this.handles.isFine ? HINTS[kind] : HINTS.coarse;
    this.card.open(this.fence, fence.row === null ? HINTS.fresh : hint);
    if (fence.row === null) this.card.focusName();
    else byId("fence-title").focus({ preventScroll: true });
    return true;
  }

  /** A new fence in the middle of what can be seen beside the cards. */
  add(kind) {
    const name = kind === "circle" ? "New circle" : "New area";
    const { lng, lat } = this.map.getCenter().wrap();
    const fence = { id: "", name, active: true, shape: newShape(kind, [lng, lat], 100), row: null };
    if (!this.open(fence)) return;
    // Its card is open now, and covers what it covers.
    const view = this.map.getSize();
    const { paddingTopLeft: [left, top], paddingBottomRight: [right, bottom] } = this.paddings();
    const middle = L.point((left + view.x - right) / 2, (top + view.y - bottom) / 2);
    const side = Math.max(60, Math.min(view.x - left - right, view.y - top - bottom));
    const place = this.map.containerPointToLatLng(middle);
    const edge = this.map.containerPointToLatLng(middle.add([side / 4, 0]));
    // No larger than a town, however far away the map is looked at from.
    const reachM = Math.min(20_000, Math.max(10, this.map.distance(place, edge)));
    const { lng: x, lat: y } = place.wrap();
    this.reshape(newShape(kind, [x, y], reachM));
    this.handles.show(this.fence.shape);
  }

  reshape(shape) {
    this.fence.shape = shape;
    this.card.setShape(shape);
    this.touch();
  }

  edit({ name, active, sizeM }) {
    const { shape } = this.fence;
    Object.assign(this.fence, { name, active });
    if (sizeM !== null && shape.kind !== "area") {
      const size = shape.kind === "circle" ? { radiusM: sizeM } : { widthM: sizeM };
      this.fence.shape = { ...shape, ...size };
      this.handles.show(this.fence.shape);
    }
    this.touch();
  }

  touch() {
    this.changed = true;
    this.card.setChanged(true);
    this.card.say("");
  }

  async save() {
    const { fence } = this;
    const { kind, radiusM, widthM } = fence.shape;
    // What the map does not know of a fence stays as it is.
    const { drivers, dwell_s, schedule, expires_at } = fence.row ?? {};
    const body = {
      drivers, dwell_s, schedule, expires_at,
      name: fence.name,
      active: fence.active,
      geometry: geometryOf(fence.shape),
      radius_m: kind === "circle" ? radiusM : null,
      width_m: kind === "corridor" ? widthM : null,
    };
    const id = fence.row === null ? newId(fence.name) : fence.id;
    this.card.setChanged(false);
    const answer = await this.send("PUT", id, body);
    if (answer.status !== 200 && answer.status !== 201) {
      this.card.setChanged(true);
      return this.card.say(faultText(answer));
    }
    const stored = readFence(answer.body);
    if (this.fence === fence) {
      this.changed = false;
      this.open(stored);
      this.card.say("Saved.");
    }
    return this.load();
  }

  async delete() {
    const { fence } = this;
    const answer = await this.send("DELETE", fence.id);
    // One that somebody else has deleted is gone too.
    if (answer.status !== 204 && answer.status !== 404) return this.card.say(faultText(answer));
    if (this.fence === fence) {
      this.changed = false;
      this.close();
    }
    return this.load();
  }

  send(method, id, body = null) {
    return sendJson(`${PATH}/${encodeURIComponent(id)}`, { method, body, token: this.token });
  }

  /** Close the card; what was not saved is dropped. */
  close() {
    if (this.fence === null) return;
    this.fence = null;
    this.changed = false;
    this.handles.clear();
    this.layer.open(null);
    this.card.close();
  }

  look(shape) {
    const { west, south, east, north } = boxOf(shape);
    const reach = (shape.radiusM ?? (shape.widthM ?? 0) / 2) * 2;
    const bounds = L.latLngBounds([south, west], [north, east]);
    const around = reach > 0 ? bounds.getCenter().toBounds(reach) : bounds;
    this.map.fitBounds(bounds.extend(around), {
      maxZoom: 17, animate: !this.calm, ...this.paddings(),
    });
  }
}
