// What an address says: whose page it is, and the token in its fragment. Pure.

const ID = /^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,64}$/;
// Also what a WebSocket subprotocol may hold (RFC 9110 token), which is how it travels.
const TOKEN = /^[A-Za-z0-9._~+-]{1,4096}$/;
// This page's clock and the server's may differ by this.
const CLOCKS_MS = 5_000;

/** Whether `id` is a driver's or an order's. */
export function isId(id) {
  return ID.test(id);
}

/** The order of `/track/{order_id}`: `id` is null where it is none; `text` is what stood there. */
export function orderOf(pathname) {
  const raw = pathname.replace(/^\/+track\/?/, "").replace(/\/$/, "");
  let text = raw;
  try {
    text = decodeURIComponent(raw);
  } catch {
    // A broken escape is no id; it is shown as it came.
  }
  return { id: isId(text) ? text : null, text };
}

/** The token of `#token=…`: null where there is none, "" where it cannot be one. */
export function tokenOf(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, "")).get("token");
  if (given === null) return null;
  return TOKEN.test(given) ? given : "";
}

/** Take the token along when `link` is followed. It never stands in the page itself, where an
 *  extension or a picture of the screen would have it. */
export function keepToken(link, token) {
  if (token === null) return;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const { pathname, hash } = new URL(link.href);
    const rest = hash.replace(/^#/, "");
    location.assign(`${pathname}#token=${token}${rest ? `&${rest}` : ""}`);
  });
}

/** What `#driver=…&day=…` asks the map for: {driver, day}, null where it is not asked. */
export function askedOf(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const driver = given.get("driver");
  return { driver: driver !== null && isId(driver) ? driver : null, day: given.get("day") };
}

/** Why the service refuses a token: "incomplete" (there is none), "expired" or "revoked". */
export function refusalOf(token, nowMs) {
  if (!token) return "incomplete";
  const endsS = expiryOf(token);
  return endsS !== null && endsS * 1000 <= nowMs + CLOCKS_MS ? "expired" : "revoked";
}

// The `exp` of a JWT, unverified: it only chooses the words. Null for keys and broken tokens.
function expiryOf(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(claims));
    return Number.isFinite(exp) ? exp : null;
  } catch {
    return null;
  }
}

/** Subprotocols to offer: ours, and the token beside it. */
export function protocolsFor(token) {
  return token ? ["fleetline.v1", `bearer.${token}`] : ["fleetline.v1"];
}
