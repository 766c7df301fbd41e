// What a customer's page knows, and what it makes of an event. Pure: the whole of the rules.
//
//   link: connecting → open → retry → connecting …          final: null, or why it is over
//                              └► polling (sockets fail, requests do not)
//
// `final` is never left: no event starts anything again.

import { isNewer } from "../core/fix.js";

// After so many sockets in a row that failed while a request got through, sockets are blocked and
// the position is asked for. A network that is down altogether says nothing about sockets.
export const BLOCKED_BEFORE_POLLING = 3;
// A socket that lived shorter than this counts as a failure.
export const SHORT_LIFE_MS = 5_000;

const FINAL_CODES = new Map([
  [4000, "ended"],
  [4003, "expired"],
  [1008, "denied"],
  [1009, "denied"],
]);

export const INITIAL = Object.freeze({
  link: "connecting",
  final: null,
  busy: false,
  failures: 0,
  blocked: 0,
  retryAtMs: 0,
  fix: null,
});

/** Why a close is final, or null if the page should come back. Codes from 4000 on say stop. */
export function finalOf(code) {
  return FINAL_CODES.get(code) ?? (code >= 4000 ? "denied" : null);
}

/** The state after an event. */
export function reduce(state, event) {
  if (state.final !== null) return state;
  switch (event.type) {
    case "invalid":
    case "ended":
      return over(state, event.type);
    case "connecting":
      return state.link === "polling" ? state : { ...state, link: "connecting" };
    case "opened":
      return { ...state, link: "open", busy: false };
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

function over(state, reason) {
  // Who may not watch any more is shown nothing any more.
  return { ...state, final: reason, fix: null, busy: false };
}

function closed(state, { code, livedMs }) {
  const reason = finalOf(code);
  if (reason !== null) return over(state, reason);
  const [failures, blocked] = livedMs >= SHORT_LIFE_MS
    ? [1, 0] : [state.failures + 1, state.blocked];
  const link = state.link === "polling" ? "polling" : "retry";
  return { ...state, link, busy: code === 1013, failures, blocked, retryAtMs: 0 };
}

// An answer to GET …/location; status 0: none came.
function answered(state, { status, detail, fix }) {
  if (status === 401) return over(state, "expired");
  if (status === 403) return over(state, "denied");
  if (status === 400 || status === 422) return over(state, "invalid");
  if (status === 404 && detail.includes("ended")) return over(state, "ended");
  const reached = status === 200 || status === 404;
  const newest = fix !== null && isNewer(fix, state.fix) ? fix : state.fix;
  if (state.link === "open") return { ...state, fix: newest };
  const blocked = reached ? state.blocked + 1 : 0;
  if (blocked >= BLOCKED_BEFORE_POLLING) {
    return { ...state, link: "polling", busy: false, blocked, fix: newest };
  }
  const busy = state.busy || status === 503 || status === 429;
  return { ...state, link: "retry", busy, blocked, fix: newest };
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
