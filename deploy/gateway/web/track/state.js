// What a customer's page knows, and what it makes of an event. Pure: the whole of the rules.
//
//   link: connecting → open → retry → connecting …          final: null, or why it is over
//                              └► polling (sockets fail, requests do not; `cause` says why)
//
// `final` is never left: no event starts anything again.

import { isNewer } from "../core/fix.js";
import { TRACKING_ENDED } from "../core/problem.js";

// After so many sockets in a row that failed while a request got through, sockets are blocked and
// the position is asked for. A network that is down altogether says nothing about sockets.
const BLOCKED_BEFORE_POLLING = 3;
// A server of sockets that is not there is most often back at once.
const AWAY_BEFORE_POLLING = 2;
// A socket that lived shorter than this counts as a failure.
export const SHORT_LIFE_MS = 5_000;

const FINAL_CODES = new Map([
  [4000, "ended"],
  [1008, "denied"],
  [1009, "denied"],
]);

export const INITIAL = Object.freeze({
  link: "connecting",
  final: null,
  busy: false,
  cause: null,
  failures: 0,
  blocked: 0,
  retryAtMs: 0,
  fix: null,
  // What the order says of itself, once somebody registered it.
  order: null,
  // When its driver is there, as it was last said.
  arrival: null,
});

/** Why a close is final, or null if the page should come back. Codes from 4000 on say stop. */
export function finalOf(code) {
  return FINAL_CODES.get(code) ?? (code >= 4000 ? "denied" : null);
}

/** The state after an event. */
export function reduce(state, event) {
  // How it ended is told also when it is over, to who was shown it.
  if (event.type === "order") return withOrder(state, event.order);
  if (state.final !== null) return state;
  switch (event.type) {
    case "invalid":
    case "ended":
      return over(state, event.type);
    case "connecting":
      return state.link === "polling" ? state : { ...state, link: "connecting" };
    case "opened":
      return { ...state, link: "open", busy: false, cause: null };
    case "arrival":
      return withArrival(state, event.arrival);
    case "fix":
      return isNewer(event.fix, state.fix) ? { ...state, fix: event.fix } : state;
    case "closed":
      return closed(state, event);
    case "retry-at":
      return { ...state, link: "retry", retryAtMs: event.atMs };
    case "answered":
      return answered(state, event);
    default:
      throw new Error(`no such event: ${event.type}`);
  }
}

function withOrder(state, order) {
  if (state.final !== null) return state.final === "ended" ? { ...state, order } : state;
  // The order knows of no arrival any more; one that it tells may have been overtaken.
  const arrival = order.arrival ?? null;
  return withArrival({ ...state, order, arrival: arrival && state.arrival }, arrival);
}

function withArrival(state, arrival) {
  const known = state.arrival;
  const isNew = arrival !== null && (known === null || arrival.computedMs >= known.computedMs);
  return isNew ? { ...state, arrival } : state;
}

function over(state, reason) {
  // A token that may not watch any more is shown nothing any more.
  const order = reason === "ended" ? state.order : null;
  return { ...state, final: reason, fix: null, order, arrival: null, busy: false };
}

function closed(state, { code, livedMs, refusal }) {
  if (code === 4003) return over(state, refusal);
  const reason = finalOf(code);
  if (reason !== null) return over(state, reason);
  const [failures, blocked] = livedMs >= SHORT_LIFE_MS
    ? [1, 0] : [state.failures + 1, state.blocked];
  const link = state.link === "polling" ? "polling" : "retry";
  return { ...state, link, busy: code === 1013, failures, blocked, retryAtMs: 0 };
}

// An answer to GET …/location; status 0: none came. `problem` is the type of a failure; `sockets`
// says why none opened just before.
function answered(state, { status, problem, fix, refusal, sockets = null }) {
  if (status === 401) return over(state, refusal);
  if (status === 403) return over(state, "denied");
  if (status === 400 || status === 422) return over(state, "invalid");
  if (problem === TRACKING_ENDED) return over(state, "ended");
  const reached = status === 200 || status === 404;
  const newest = fix !== null && isNewer(fix, state.fix) ? fix : state.fix;
  if (state.link === "open") return { ...state, fix: newest };
  const blocked = reached ? state.blocked + (isBlocked(state, sockets) ? 1 : 0) : 0;
  const cause = causeOf(state, sockets, blocked);
  if (reached && cause !== null) {
    return { ...state, link: "polling", busy: false, cause, blocked, fix: newest };
  }
  const busy = state.busy || status === 503 || status === 429;
  return { ...state, link: "retry", busy, blocked, fix: newest };
}

// Whether an answer tells that sockets do not get through: one after a socket that failed.
function isBlocked({ link }, sockets) {
  return sockets === "blocked" || (sockets === null && link !== "polling");
}

// Why to ask for positions instead; null to go on trying.
function causeOf({ link, cause, failures }, sockets, blocked) {
  const polling = link === "polling";
  if (polling && sockets === null) return cause;
  if (sockets === "full") return "full";
  if (sockets === "away" && failures >= AWAY_BEFORE_POLLING) return "away";
  if (blocked >= BLOCKED_BEFORE_POLLING) return "blocked";
  return polling ? cause : null;
}

/** What the page shows: connecting, waiting, live, old, reconnecting, busy, or why it is over. */
export function modeOf(state, nowMs, staleAgeS) {
  if (state.final !== null) return state.final;
  const fresh = state.link === "open" || state.link === "polling";
  if (!fresh && state.failures > 0) return state.busy ? "busy" : "reconnecting";
  if (!fresh && state.fix === null) return "connecting";
  if (state.fix === null) return "waiting";
  return (nowMs - state.fix.atMs) / 1000 > staleAgeS ? "old" : "live";
}
