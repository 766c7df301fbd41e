// What `/health` means to an operator. Pure: the answer in, words and tones out.

import { countText, spanText } from "../core/age.js";

const UNKNOWN = "no answer";
const VERDICTS = {
  ok: ["good", "All parts work"],
  degraded: ["warn", "Some parts do not work"],
  down: ["bad", "Fixes are refused"],
};

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
  const [tone, title] = body.status === "ok" && body.dead_letters > 0
    ? ["warn", "All parts work; there are dead letters"]
    : VERDICTS[body.status] ?? ["bad", body.status];
  return {
    tone,
    title,
    parts,
    numbers: "redis" in body ? numbers(body, slowest(shards)) : [],
  };
}

/** The shard that is most behind: most fixes unread or unfinished. */
export function slowest(shards) {
  const behind = (shard) => (shard.backlog ?? 0) + (shard.pending ?? 0);
  const worse = (worst, shard) => worst === null || behind(shard) > behind(worst);
  return shards.reduce((worst, shard) => (worse(worst, shard) ? shard : worst), null);
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
  rows.push(["Backlog, all", countText(body.backlog)]);
  const lastsS = body.room?.lasts_s ?? null;
  // Only while it shrinks: a number that says "for ever" helps nobody.
  if (lastsS !== null) rows.push(["Fixes are refused in", spanText(lastsS)]);
  rows.push(["Dead letters", countText(body.dead_letters)]);
  return rows;
}
