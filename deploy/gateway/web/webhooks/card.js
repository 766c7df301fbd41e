// One webhook: what it is, what became of its last deliveries, and what can be done with it.

import { create, setFacts, setShown, setText } from "../core/dom.js";
import { faultText, getJson, sendJson } from "../core/request.js";
import { bodyOf, deliveryOf, factsOf, stateOf } from "./model.js";

const DELIVERIES = 20;
// A test is tried once, and told within the sender's 15 s and some more.
const TEST_LOOKS = 20;
const TEST_LOOK_MS = 1_000;
const VIEWS = Object.entries({
  "": "all", waiting: "waiting", dead: "given up", delivered: "delivered",
});

export class HookCard {
  /** `changed` is called when the list must be read anew. */
  constructor({ id, token, nowMs, changed }) {
    Object.assign(this, { id, token, nowMs, changed });
    this.path = `/api/v1/webhooks/${encodeURIComponent(id)}`;
    this.asked = 0;
    this.element = create("li", "card hook");
    const title = create("h2", "", id);
    this.dot = create("span", "dot");
    this.state = create("p", "hook-state");
    this.facts = create("dl", "hook-facts");
    this.pause = this.button("button", "Pause", () => this.switch());
    this.test = this.button("step wide", "Send a test", () => this.sendTest());
    this.said = create("p", "hint");
    this.said.setAttribute("role", "status");
    const head = create("div", "hook-head");
    head.append(this.dot, title, this.state);
    const deeds = create("div", "hook-deeds");
    deeds.append(this.pause, this.test, this.said);
    this.element.append(head, this.facts, deeds, this.deliveries());
  }

  button(style, text, act) {
    const button = create("button", style, text);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }

  deliveries() {
    this.more = create("details", "hook-more");
    this.view = create("select");
    this.view.setAttribute("aria-label", `Deliveries of ${this.id}`);
    for (const [value, text] of VIEWS) {
      const option = create("option", "", text);
      option.value = value;
      this.view.append(option);
    }
    this.list = create("ul", "deliveries");
    this.none = create("p", "hint");
    this.view.addEventListener("change", () => this.look());
    this.more.addEventListener("toggle", () => this.look());
    this.more.append(create("summary", "", "Last deliveries"), this.view, this.none, this.list);
    return this.more;
  }

  /** Show the webhook as it is now. */
  set(hook) {
    this.hook = hook;
    const { tone, text } = stateOf(hook, this.nowMs());
    this.element.dataset.tone = tone;
    setText(this.state, text);
    setFacts(this.facts, factsOf(hook));
    setText(this.pause, hook.active ? "Pause" : "Resume");
    this.test.disabled = !hook.active;
    this.look();
  }

  /** Read the last deliveries, if they are looked at. */
  async look() {
    if (!this.more.open) return;
    this.asked += 1;
    const asked = this.asked;
    const state = this.view.value ? `&state=${this.view.value}` : "";
    const answer = await getJson(`${this.path}/deliveries?limit=${DELIVERIES}${state}`, {
      token: this.token,
    });
    if (asked !== this.asked) return;
    const rows = answer.status === 200 ? answer.body.deliveries : [];
    setText(this.none, answer.status === 200 ? "Nothing was sent." : "They cannot be read now.");
    setShown(this.none, rows.length === 0);
    this.list.replaceChildren(...rows.map((row) => this.row(row)));
  }

  row(delivery) {
    const { tone, title, text, when } = deliveryOf(delivery, this.nowMs());
    const row = create("li", "delivery");
    row.dataset.tone = tone;
    row.append(
      create("span", "dot"),
      create("span", "delivery-title", title),
      create("span", "", text),
      create("span", "hint", when),
    );
    return row;
  }

  /** Pause or resume it, as it is in the database by now. */
  async switch() {
    const active = !this.hook.active;
    this.pause.disabled = true;
    const now = await getJson(this.path, { token: this.token });
    const body = now.status === 200 ? bodyOf(now.body, active) : null;
    const put = { method: "PUT", body, token: this.token };
    const answer = body === null ? now : await sendJson(this.path, put);
    this.pause.disabled = false;
    if (answer.status !== 200) return this.say(faultText(answer));
    this.say(active ? "It goes on; what failed is tried at once." : "It is paused.");
    return this.changed();
  }

  /** Send a test, and say what became of it. */
  async sendTest() {
    this.test.disabled = true;
    const sent = await sendJson(`${this.path}/test`, { method: "POST", token: this.token });
    if (sent.status === 202) {
      this.say("The test is on its way.");
      this.say(await this.outcome(sent.body.event_id));
    } else {
      this.say(sent.status === 409 ? "It is paused: nothing is sent." : faultText(sent));
    }
    this.test.disabled = !this.hook.active;
    return this.look();
  }

  async outcome(eventId) {
    for (let look = 0; look < TEST_LOOKS; look += 1) {
      await new Promise((done) => { setTimeout(done, TEST_LOOK_MS); });
      const { body } = await getJson(`${this.path}/deliveries?limit=${DELIVERIES}`, {
        token: this.token,
      });
      const found = body?.deliveries?.find((each) => each.event_id === eventId);
      if (found && found.state !== "waiting") {
        return `Test: ${deliveryOf(found, this.nowMs()).text}`;
      }
    }
    return "The test was not tried yet: perhaps no sender runs.";
  }

  say(text) {
    setText(this.said, text);
  }
}
