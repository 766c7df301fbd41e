// Requests to the API: every one ends, and its failing is a value.

import { SERVER_FULL, TOO_MANY_SOCKETS } from "./problem.js";

const TIMEOUT_MS = 8_000;

/** {status, body, dateMs}: status 0 where no answer came; body null where it was not JSON. */
export async function getJson(path, { token = null, timeoutMs = TIMEOUT_MS } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const answer = await fetch(path, {
      headers,
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await answer.json().catch(() => null);
    return { status: answer.status, body, dateMs: Date.parse(answer.headers.get("Date") ?? "") };
  } catch {
    return { status: 0, body: null, dateMs: NaN };
  }
}

/** Change something: {status, body}, as `getJson`. */
export async function sendJson(
  path, { method, body = null, token = null, timeoutMs = TIMEOUT_MS },
) {
  const headers = { ...(token && { Authorization: `Bearer ${token}` }) };
  if (body !== null) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: body === null ? null : JSON.stringify(body),
      credentials: "omit",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  } catch {
    return { status: 0, body: null };
  }
}

/** Why a change was refused, for people. */
export function faultText({ status, body }) {
  if (status === 401 || status === 403) return "This link may not change that.";
  if (status !== 422) return "It could not be stored now; please try again.";
  const faults = body?.errors ?? [];
  if (faults.length === 0) return body?.detail ?? "A value is out of range.";
  return faults.map(({ field, detail }) => `${field}: ${detail}`).join("; ");
}

/** {status, text, next}: `next` is the address of the next page, or null. */
export async function getText(path, { token = null, timeoutMs = TIMEOUT_MS } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await fetch(path, { headers, cache: "no-store", credentials: "omit", signal });
    const link = /<([^>]+)>; rel="?next"?/.exec(answer.headers.get("Link") ?? "");
    return { status: answer.status, text: await answer.text(), next: link?.[1] ?? null };
  } catch {
    return { status: 0, text: "", next: null };
  }
}

/** Why no socket opened at `path`: "full", "away" (no server there), "blocked" (there is room, but
 *  none came through), or null where no answer came. Browsers do not tell it; the server does. */
export async function whyNoSocket(path) {
  const { status, body } = await getJson(path);
  if (status === 426) return "blocked";
  if (body?.type === SERVER_FULL || body?.type === TOO_MANY_SOCKETS) return "full";
  return status === 503 ? "away" : null;
}

/** The address of a socket on this host. */
export function socketUrl(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}
