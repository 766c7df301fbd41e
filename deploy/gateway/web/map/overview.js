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
  full: "No place free, trying again…",
  expired: "Expired",
  revoked: "No longer valid",
  incomplete: "No access",
  denied: "No access",
};
// What stands on the map where it shows no drivers.
const NOTICES = {
  reconnecting: ["Not connected", "Drivers appear as soon as the connection is back."],
  full: ["All places for live updates are taken", "Drivers appear as soon as one is free."],
  expired: ["This link has expired", "Its time is over. Please ask for a new link."],
  revoked: [
    "This link no longer works", "It was revoked, or is not complete. Please ask for a new link.",
  ],
  incomplete: [
    "This map needs a link of its own", "The one that was opened holds no token, or half of it.",
  ],
  denied: ["No access to the fleet map", "This link was not made for operators."],
};
const ELSEWHERE = ["No drivers here", "Zoom out or move the map: there are drivers elsewhere."];
const NOBODY = ["No drivers yet", "A driver appears as soon as its first position arrives."];

export class Overview {
  constructor({ token, announcer, onChoose }) {
    this.token = token;
    this.announcer = announcer;
    this.onChoose = onChoose;
    this.healthTitle = "";
    this.link = "connecting";
    this.over = false;
    this.pollHealth();
  }

  setLink(link) {
    this.link = link;
    document.body.dataset.link = link;
    setText(byId("link"), LINKS[link]);
    this.announcer.say(LINKS[link]);
  }

  /** It is over: say why, and offer nothing that cannot work. */
  end(reason) {
    this.over = true;
    document.body.classList.add("over");
    this.setEmpty(0);
    this.announcer.say(NOTICES[reason].join(". "));
  }

  /** Without a connection nothing is known of those who send, and no count is no zero. */
  setCounts({ inView, inAll, rate }) {
    const live = this.link === "live";
    const known = live || inAll > 0;
    setText(byId("in-view"), countText(known ? inView : null));
    setText(byId("in-all"), countText(known ? inAll : null));
    setText(byId("rate"), countText(live ? rate : null));
  }

  /** No driver is in view: say why. `inAll`: drivers elsewhere. */
  setEmpty(inAll) {
    const [title, detail] = NOTICES[this.link] ?? (inAll > 0 ? ELSEWHERE : NOBODY);
    setText(byId("empty-title"), title);
    setText(byId("empty-detail"), detail);
    setShown(byId("empty"), true);
  }

  setFilled() {
    setShown(byId("empty"), false);
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
    if (this.over) return;
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
