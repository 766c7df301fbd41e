// What `/health` means to an operator. Pure: the answer in, words and tones out.

import { countText } from "../core/age.js";

const UNKNOWN = "no answer";

/** {tone, title, parts: [{name, state, tone}], numbers: [[name, text]]}. `body` null: no answer. */
export function healthView(status, body) {
  if (body === null || typeof body !== "object" || typeof body.status !== "string") {
    const title = status === 0 ? "The service does not answer" : "Ingest does not answer";
    return { tone: "bad", title, parts: [], numbers: [] };
  }
  const shards = Array.isArray(body.shards) ? body.shards : [];
  const up = shards.filter((shard) => shard.consumer === "up").length;
  const parts = "redis" in body
    ? [part("Redis", body.redis), part("Database", body.database), consumers(up, shards.length)]
    : [];
  const titles = { ok: "All parts work", degraded: "Some parts do not work", down: "Fixes are refused" };
  const tones = { ok: "good", degraded: "warn", down: "bad" };
  return {
    tone: body.dead_letters > 0 && body.status === "ok" ? "warn" : tones[body.status] ?? "bad",
    title: body.dead_letters > 0 && body.status === "ok"
      ? "All parts work; there are dead letters" : titles[body.status] ?? body.status,
    parts,
    numbers: "redis" in body ? numbers(body, slowest(shards)) : [],
  };
}

/** The shard that is most behind: most entries unread or unfinished. */
export function slowest(shards) {
  const behind = (shard) => (shard.backlog ?? 0) + (shard.pending ?? 0);
  return shards.reduce((worst, s) => (worst === null || behind(s) > behind(worst) ? s : worst), null);
}

function part(name, state) {
  return { name, state: state ?? UNKNOWN, tone: state === "up" ? "good" : "bad" };
}

function consumers(up, all) {
  return { name: "Consumers", state: `${up} of ${all} up`, tone: up === all ? "good" : "bad" };
}

function numbers(body, shard) {
  const rows = [];
  if (shard !== null) {
    rows.push([`Backlog, shard ${shard.shard}`, countText(shard.backlog)]);
    rows.push([`Pending, shard ${shard.shard}`, countText(shard.pending)]);
  }
  rows.push(["Backlog, all", countText(body.backlog)], ["Dead letters", countText(body.dead_letters)]);
  return rows;
}
