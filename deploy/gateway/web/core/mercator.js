// Web Mercator as a square of side 1, and boxes of it as the API takes them. Pure.

const LATITUDE_MAX = 85.05112878;

/** {x, y} of a place; x grows east, y south. */
export function project({ latitude, longitude }) {
  const bounded = Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, latitude));
  const sine = Math.sin((bounded * Math.PI) / 180);
  return {
    x: (longitude + 180) / 360,
    y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI),
  };
}

/** The longitude within -180…180 that names the same meridian. */
export function wrapped(longitude) {
  return longitude - 360 * Math.floor((longitude + 180) / 360);
}

/** `w,s,e,n` of bounds that may lie in any copy of the world, a share of their size wider. */
export function boxOf({ west, south, east, north }, margin = 0) {
  const wider = (east - west) * margin;
  const higher = (north - south) * margin;
  const low = Math.max(-90, south - higher);
  const high = Math.min(90, north + higher);
  const all = east - west + 2 * wider >= 360;
  const [left, right] = all ? [-180, 180] : [wrapped(west - wider), wrapped(east + wider)];
  return [left, low, right, high].map((value) => Number(value.toFixed(5))).join(",");
}

export const WORLD = "-180,-90,180,90";
