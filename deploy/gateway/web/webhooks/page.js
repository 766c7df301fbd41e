// All webhooks: whether they work, why not, pause and resume, and a test.

import { loadConfig } from "../core/config.js";
import { byId, setText } from "../core/dom.js";
import { keepToken, tokenOf } from "../core/link.js";
import { getJson } from "../core/request.js";
import { HookCard } from "./card.js";

const REFRESH_MS = 5_000;
const REFUSED = {
  401: "This link no longer works, or holds no token. Please ask for a new one.",
  403: "This link was not made for operators.",
  429: "Too many requests; trying again soon.",
};

class HooksPage {
  constructor(config, token) {
    this.config = config;
    this.token = token;
    this.cards = new Map();
    this.asked = 0;
  }

  start() {
    this.load();
    setInterval(() => {
      if (!document.hidden) this.load();
    }, REFRESH_MS);
  }

  async load() {
    this.asked += 1;
    const asked = this.asked;
    const { status, body } = await getJson("/api/v1/webhooks", { token: this.token });
    if (asked !== this.asked) return;
    if (status !== 200) {
      setText(byId("state"), REFUSED[status] ?? "The service did not answer; trying again soon.");
      // Nothing stays that this link may not see.
      if (status === 401 || status === 403) this.show([]);
      return;
    }
    const none = body.webhooks.length === 0;
    setText(byId("state"), none ? "There are no webhooks yet: PUT /api/v1/webhooks/{id}." : "");
    this.show(body.webhooks);
  }

  show(hooks) {
    const known = new Set(hooks.map((hook) => hook.webhook_id));
    for (const [id, card] of this.cards) {
      if (known.has(id)) continue;
      card.element.remove();
      this.cards.delete(id);
    }
    hooks.forEach((hook, place) => {
      const card = this.cards.get(hook.webhook_id) ?? this.newCard(hook.webhook_id);
      const list = byId("hooks");
      // Moved only where it has to be: what is focused or open stays so.
      if (list.children[place] !== card.element) {
        list.insertBefore(card.element, list.children[place] ?? null);
      }
      card.set(hook);
    });
  }

  newCard(id) {
    const card = new HookCard({
      id, token: this.token, nowMs: this.config.nowMs, changed: () => this.load(),
    });
    this.cards.set(id, card);
    return card;
  }
}

async function start() {
  addEventListener("hashchange", () => location.reload());
  const token = tokenOf(location.hash);
  const config = await loadConfig();
  if (token === "") return setText(byId("state"), REFUSED[401]);
  keepToken(byId("map-link"), token);
  return new HooksPage(config, token).start();
}

start();
