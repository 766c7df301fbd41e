// The card of the open fence: its name, its size, whether it is on, and who is inside.

import { countText } from "../../core/age.js";
import { durationText } from "../../core/day.js";
import { byId, create, setShown, setText } from "../../core/dom.js";
import { getJson } from "../../core/request.js";

const INSIDE_MS = 5_000;
const LISTED_MAX = 100;
// How long the button that deletes waits for its second press.
const SURE_MS = 5_000;

export class FenceCard {
  constructor({ token, onEdit, onSave, onDelete, onClose, onDriver }) {
    Object.assign(this, { token, onEdit, onSave, onDelete, onClose, onDriver });
    this.fence = null;
    byId("fence-close").addEventListener("click", () => onClose());
    byId("fence-form").addEventListener("submit", (event) => {
      event.preventDefault();
      onSave();
    });
    for (const name of ["fence-name", "fence-size", "fence-active"]) {
      byId(name).addEventListener("input", () => onEdit(this.edited()));
    }
    byId("fence-delete").addEventListener("click", () => this.deleteOnceSure());
    byId("fence-delete").addEventListener("blur", () => this.unsure());
    setInterval(() => this.askInside(), INSIDE_MS);
  }

  /** Show a fence; a new one has no row yet. */
  open(fence, hint) {
    const { kind } = fence.shape;
    if (this.fence === null) this.openedBy = document.activeElement;
    this.fence = fence;
    setText(byId("fence-title"), fence.name);
    byId("fence-name").value = fence.name;
    byId("fence-active").checked = fence.active;
    setShown(byId("fence-size-row"), kind !== "area");
    // One that is hidden must not keep the form from being sent.
    byId("fence-size").disabled = kind === "area";
    setText(byId("fence-size-label"), kind === "circle" ? "Radius, metres" : "Width, metres");
    byId("fence-size").max = kind === "circle" ? 100_000 : 20_000;
    setText(byId("fence-hint"), hint);
    setShown(byId("fence-delete"), fence.row !== null);
    setShown(byId("fence-inside-part"), fence.row !== null);
    this.setShape(fence.shape);
    this.setChanged(fence.row === null);
    this.say("");
    this.unsure();
    byId("fence-inside").replaceChildren();
    setText(byId("fence-inside-count"), "");
    setShown(byId("fence"), true);
    this.askInside();
  }

  focusName() {
    byId("fence-name").focus({ preventScroll: true });
    byId("fence-name").select();
  }

  close() {
    this.fence = null;
    setShown(byId("fence"), false);
    this.openedBy?.focus?.({ preventScroll: true });
  }

  setShape({ kind, radiusM, widthM }) {
    if (kind === "area" || document.activeElement === byId("fence-size")) return;
    byId("fence-size").value = kind === "circle" ? radiusM : widthM;
  }

  /** Whether there is something to save. */
  setChanged(changed) {
    byId("fence-save").disabled = !changed;
  }

  /** An answer to the last press of a button. */
  say(text) {
    setText(byId("fence-answer"), text);
    setShown(byId("fence-answer"), text !== "");
  }

  edited() {
    const size = Number(byId("fence-size").value);
    return {
      name: byId("fence-name").value.trim(),
      active: byId("fence-active").checked,
      sizeM: byId("fence-size").validity.valid && size > 0 ? size : null,
    };
  }

  deleteOnceSure() {
    if (this.sure) return this.onDelete();
    this.sure = setTimeout(() => this.unsure(), SURE_MS);
    setText(byId("fence-delete"), "Press again to delete");
  }

  unsure() {
    clearTimeout(this.sure);
    this.sure = 0;
    setText(byId("fence-delete"), "Delete");
  }

  async askInside() {
    const { fence } = this;
    if (fence === null || fence.row === null || document.hidden) return;
    const path = `/api/v1/geofences/${encodeURIComponent(fence.id)}/drivers?limit=${LISTED_MAX}`;
    const { status, body } = await getJson(path, { token: this.token });
    if (this.fence !== fence) return;
    if (status !== 200) return setText(byId("fence-inside-count"), "This cannot be read now.");
    const more = body.next_cursor === null ? "" : " or more";
    setText(byId("fence-inside-count"), body.count === 0
      ? "Nobody is inside." : `${countText(body.count)}${more} inside`);
    this.list(body.drivers);
  }

  list(drivers) {
    const list = byId("fence-inside");
    while (list.children.length > drivers.length) list.lastElementChild.remove();
    while (list.children.length < drivers.length) {
      const button = create("button");
      button.type = "button";
      button.append(create("span"), create("span", "since"));
      button.addEventListener("click", () => this.onDriver(button.firstElementChild.textContent));
      const row = create("li");
      row.append(button);
      list.append(row);
    }
    drivers.forEach(({ driver_id: id, duration_s: seconds }, n) => {
      const [name, since] = list.children[n].firstElementChild.children;
      setText(name, id);
      setText(since, durationText(seconds));
    });
  }
}
