// A tile as its bytes tell it: layers of features in units of the tile. Pure.
// The format is Mapbox Vector Tile 2.1.

const VARINT = 0;
const BYTES = 2;
const TYPES = ["", "point", "line", "area"];
const MOVE_TO = 1;
const LINE_TO = 2;

/** {layer: [{type, facts, paths}]}. `paths`: lists of x, y, x, y… Throws on bytes that are none. */
export function decode(bytes) {
  const layers = {};
  for (const { field, value } of fields(bytes)) {
    if (field === 3) {
      const { name, features } = layerOf(value);
      layers[name] = features;
    }
  }
  return layers;
}

function layerOf(bytes) {
  const found = { 1: [], 2: [], 3: [], 4: [] };
  for (const { field, value } of fields(bytes)) found[field]?.push(value);
  const keys = found[3].map(text);
  const values = found[4].map(valueOf);
  return {
    name: text(found[1][0]),
    features: found[2].map((feature) => featureOf(feature, keys, values)),
  };
}

function featureOf(bytes, keys, values) {
  const facts = {};
  let [type, paths] = ["", []];
  for (const { field, value } of fields(bytes)) {
    if (field === 2) {
      const tags = [...numbers(value)];
      for (let i = 0; i + 1 < tags.length; i += 2) facts[keys[tags[i]]] = values[tags[i + 1]];
    } else if (field === 3) type = TYPES[value] ?? "";
    else if (field === 4) paths = pathsOf(value);
  }
  return { type, facts, paths };
}

// Moves and lines, each as the step from the last place; a closed ring ends where it began.
function pathsOf(bytes) {
  const paths = [];
  let [x, y, left, command] = [0, 0, 0, 0];
  const source = numbers(bytes);
  for (const number of source) {
    if (left === 0) {
      command = number & 7;
      left = command === MOVE_TO || command === LINE_TO ? number >>> 3 : 0;
      continue;
    }
    x += unzigzag(number);
    y += unzigzag(source.next().value ?? 0);
    left -= 1;
    if (command === MOVE_TO || paths.length === 0) paths.push([]);
    paths.at(-1).push(x, y);
  }
  return paths;
}

function valueOf(bytes) {
  for (const { field, value } of fields(bytes)) {
    if (field === 1) return text(value);
    if (field === 4 || field === 5 || field === 7) return value;
    if (field === 6) return unzigzag(value);
  }
  return null;
}

// Protobuf: each field with its number; of numbers the value, of all else the bytes.
function* fields(bytes) {
  const at = { place: 0 };
  while (at.place < bytes.length) {
    const tag = varint(bytes, at);
    const kind = tag & 7;
    if (kind === VARINT) yield { field: tag >>> 3, value: varint(bytes, at) };
    else {
      const size = kind === BYTES ? varint(bytes, at) : { 1: 8, 5: 4 }[kind];
      if (size === undefined || at.place + size > bytes.length) throw new RangeError("no tile");
      at.place += size;
      yield { field: tag >>> 3, value: bytes.subarray(at.place - size, at.place) };
    }
  }
}

function* numbers(bytes) {
  const at = { place: 0 };
  while (at.place < bytes.length) yield varint(bytes, at);
}

// Beyond 32 bits as well: signed numbers below zero take ten bytes.
function varint(bytes, at) {
  let [value, factor] = [0, 1];
  for (let i = 0; i < 10; i += 1) {
    const byte = bytes[at.place];
    if (byte === undefined) throw new RangeError("no tile");
    at.place += 1;
    value += (byte & 127) * factor;
    if (byte < 128) return value > Number.MAX_SAFE_INTEGER ? value - 2 ** 64 : value;
    factor *= 128;
  }
  throw new RangeError("no tile");
}

const unzigzag = (number) => (number % 2 === 0 ? number / 2 : -(number + 1) / 2);
const decoder = new TextDecoder();
const text = (bytes) => decoder.decode(bytes);
