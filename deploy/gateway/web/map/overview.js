// The overview card: counts, the service's health, the list of drivers.

import { countText } from "../core/age.js";
import { byId, create, setFacts, setShown, setText } from "../core/dom.js";
import { getJson } from "../core/request.js";
import { healthView } from "./health.js";

const HEALTH_MS = 2_000;
const LISTED_MAX = 100;
const LINKS = {
  live: "Live",
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  expired: "This link has expired or was revoked",
  denied: "This link does not allow the fleet map",
};

export class Overview {
  constructor({ token, announcer, onChoose }) {
    this.token = token;
    this.announcer = announcer;
    this.onChoose = onChoose;
    this.healthTitle = "";
    this.pollHealth();
  }

  setLink(link) {
    document.body.dataset.link = link;
    setText(byId("link"), LINKS[link]);
    this.announcer.say(LINKS[link]);
  }

  setCounts({ inView, inAll, rate }) {
    setText(byId("in-view"), countText(inView));
    setText(byId("in-all"), countText(inAll));
    setText(byId("rate"), countText(rate));
  }

  /** Why the map is empty, if it is. */
  setEmpty(reason) {
    setShown(byId("empty"), reason !== null);
    if (reason !== null) setText(byId("empty-detail"), reason);
  }

  /** Drivers in view by id, while somebody has the list open. */
  setList(ids) {
    if (!byId("list").open) return;
    const list = byId("drivers");
    const shown = ids.slice(0, LISTED_MAX);
    while (list.children.length > shown.length) list.lastElementChild.remove();
    while (list.children.length < shown.length) {
      const button = create("button");
      button.type = "button";
      button.addEventListener("click", () => this.onChoose(button.textContent));
      const row = create("li");
      row.append(button);
      list.append(row);
    }
    shown.forEach((id, i) => setText(list.children[i].firstElementChild, id));
  }

  async pollHealth() {
    const { status, body } = await getJson("/health", { token: this.token, timeoutMs: 4_000 });
    this.drawHealth(healthView(status, body));
    setTimeout(() => this.pollHealth(), HEALTH_MS);
  }

  drawHealth({ tone, title, parts, numbers }) {
    const health = byId("health");
    health.dataset.tone = tone;
    setText(byId("health-title"), title);
    if (this.healthTitle !== "" && this.healthTitle !== title) this.announcer.say(title);
    this.healthTitle = title;
    const list = byId("parts");
    while (list.children.length > parts.length) list.lastElementChild.remove();
    while (list.children.length < parts.length) {
      const row = create("li");
      row.append(create("span", "dot"), create("span"), create("b"));
      list.append(row);
    }
    parts.forEach((part, i) => {
      const [, name, state] = list.children[i].children;
      list.children[i].dataset.tone = part.tone;
      setText(name, part.name);
      setText(state, part.state);
    });
    setFacts(byId("numbers"), numbers);
  }
}
