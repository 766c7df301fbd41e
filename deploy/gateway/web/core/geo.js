// Geometry on the sphere, in degrees and metres. Pure.

const EARTH_RADIUS_M = 6371008.8;
const DIRECTIONS = [
  "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west",
];

const radians = (degrees) => (degrees * Math.PI) / 180;
const degrees = (value) => (value * 180) / Math.PI;

/** Great-circle distance of two {latitude, longitude}, in metres. */
export function distanceM(a, b) {
  const dLat = radians(b.latitude - a.latitude);
  const dLng = radians(b.longitude - a.longitude);
  const h = Math.sin(dLat / 2) ** 2
    + Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(dLng / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Initial bearing from a to b: degrees clockwise from north, 0 ≤ b < 360. */
export function bearing(a, b) {
  const dLng = radians(b.longitude - a.longitude);
  const [from, to] = [radians(a.latitude), radians(b.latitude)];
  const y = Math.sin(dLng) * Math.cos(to);
  const x = Math.cos(from) * Math.sin(to) - Math.sin(from) * Math.cos(to) * Math.cos(dLng);
  return (degrees(Math.atan2(y, x)) + 360) % 360;
}

/** The turn from one heading to another the short way round, -180 < turn ≤ 180. */
export function shortestArc(from, to) {
  const turn = (((to - from) % 360) + 360) % 360;
  return turn > 180 ? turn - 360 : turn;
}

/** The point a share of the way from a to b, across the antimeridian where that is shorter. */
export function between(a, b, share) {
  const longitude = a.longitude + shortestArc(a.longitude, b.longitude) * share;
  return {
    latitude: a.latitude + (b.latitude - a.latitude) * share,
    longitude: longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude,
  };
}

/** A heading in words: "north-east". */
export function direction(heading) {
  return DIRECTIONS[Math.round((((heading % 360) + 360) % 360) / 45) % 8];
}
