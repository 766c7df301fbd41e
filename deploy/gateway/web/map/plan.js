// A plan on the operators' map: pasted as it was answered, or asked for with what makes one.

import { byId, create, setShown, setText } from "../core/dom.js";
import { faultText, sendJson } from "../core/request.js";
import { PlanLayer } from "./plan_layer.js";

const PATH = "/api/v1/plans";
// The line before the planner, and the longest search.
const TIMEOUT_MS = 50_000;
const REASONS = {
  no_way: "no way leads there",
  no_vehicle_with_skills: "no vehicle has the skills",
  too_large: "too large for any vehicle",
  window_cannot_be_met: "no vehicle can be in time",
  no_room: "no room left",
};

export class Plan {
  constructor({ map, token, calm, paddings }) {
    Object.assign(this, { map, token, calm, paddings });
    this.layer = new PlanLayer(map);
    byId("plan-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.read(byId("plan-text").value);
    });
    byId("plan-clear").addEventListener("click", () => this.clear());
  }

  /** Show nothing any more. */
  end() {
    this.clear();
    setShown(byId("plan"), false);
  }

  clear() {
    byId("plan-text").value = "";
    this.say("");
    this.show({ routes: [], unassigned: [] });
  }

  say(text) {
    setText(byId("plan-answer"), text);
    setShown(byId("plan-answer"), text !== "");
  }

  async read(text) {
    const value = parsed(text);
    if (Array.isArray(value?.routes)) return this.show(value);
    if (!Array.isArray(value?.vehicles)) {
      return this.say("That is neither a plan nor what one is made of: JSON with routes or vehicles.");
    }
    this.say("Planning…");
    byId("plan-show").disabled = true;
    const answer = await sendJson(PATH, {
      method: "POST", body: value, token: this.token, timeoutMs: TIMEOUT_MS,
    });
    byId("plan-show").disabled = false;
    return answer.status === 200 ? this.show(answer.body) : this.say(troubleText(answer));
  }

  show(plan) {
    const routes = plan.routes.filter((route) => Array.isArray(route?.stops));
    const drawn = this.layer.set(routes);
    byId("plan-list").replaceChildren(
      ...routes.map((route, i) => this.row(route, i)),
      ...(plan.unassigned ?? []).map(({ id, reason }) =>
        create("li", "plan-left", `${id}: ${REASONS[reason] ?? reason}`)),
    );
    if (routes.length === 0) return;
    this.say(drawn
      ? `${counted(routes.length, "vehicle")}, ${Math.round(plan.cost / 60)} min of travel in all`
      : "Its places are rows of a matrix, which no map can show.");
    if (drawn) this.look(this.layer.bounds());
  }

  row(route, i) {
    const button = create("button", "plan-row");
    button.type = "button";
    const swatch = create("span", "plan-swatch");
    swatch.style.background = this.layer.colour(i);
    const stops = route.stops.filter(({ type }) => type !== "start" && type !== "end").length;
    const minutes = Math.round(route.duration_s / 60);
    button.append(swatch, create("span", "", String(route.vehicle)),
      create("span", "since", `${counted(stops, "stop")}, ${minutes} min`));
    button.addEventListener("click", () => {
      const bounds = this.layer.choose(i);
      if (bounds !== null) this.look(bounds);
    });
    const row = create("li");
    row.append(button);
    return row;
  }

  look(bounds) {
    this.map.fitBounds(bounds, { maxZoom: 16, animate: !this.calm, ...this.paddings() });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function counted(count, word) {
  return count === 1 ? `1 ${word}` : `${count} ${word}s`;
}

function troubleText(answer) {
  if (answer.status === 429) return "Too many plans are under way; please try again soon.";
  if (answer.status === 503) return answer.body?.detail ?? "No planner answers.";
  if (answer.status === 403) return "This link may not plan.";
  return faultText(answer);
}
