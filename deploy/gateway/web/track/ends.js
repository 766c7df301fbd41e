// Where the order comes from and where it goes, on the customer's map.

const L = window.L;
const KINDS = ["pickup", "dropoff"];
const TITLES = { pickup: "Pick-up", dropoff: "Drop-off" };

export class Ends {
  constructor(map) {
    this.map = map;
    this.markers = new Map();
  }

  /** Show the ends that the order names; what it names no more goes. */
  show(order) {
    for (const kind of KINDS) this.place(kind, order?.[kind] ?? null);
  }

  place(kind, place) {
    const known = this.markers.get(kind);
    if (place === null) {
      known?.remove();
      this.markers.delete(kind);
      return;
    }
    const at = [place.latitude, place.longitude];
    if (known) {
      known.setLatLng(at);
      return;
    }
    const icon = L.divIcon({ className: `end end-${kind}`, iconSize: [22, 22] });
    const options = { icon, title: TITLES[kind], alt: TITLES[kind] };
    // The driver stands in front.
    const marker = L.marker(at, { ...options, keyboard: false, zIndexOffset: -1000 });
    this.markers.set(kind, marker.addTo(this.map));
  }
}
