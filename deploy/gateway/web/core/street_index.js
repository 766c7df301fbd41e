// The maps of this host that `fleetline streets` built, if there are any.

// On a slow phone.
const TIMEOUT_MS = 15_000;

/** The index of this host's maps; null where there are none. */
export async function readStreetIndex() {
  try {
    const response = await fetch("/streets/index.json", {
      signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "omit",
    });
    const index = response.status === 200 ? await response.json() : null;
    return Array.isArray(index?.maps) && index.maps.length > 0 ? index : null;
  } catch {
    return null;
  }
}
