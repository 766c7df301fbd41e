// Failures of the service that a page tells apart: their stable types, never their words.

export const NO_ORDER = "/problems/no-order";
export const TRACKING_ENDED = "/problems/tracking-ended";
export const SERVER_FULL = "/problems/server-full";
export const TOO_MANY_SOCKETS = "/problems/too-many-sockets";
