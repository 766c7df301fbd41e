// Elements, filled with text only: ids and details come from strangers.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Set text where it differs: a screen reader need not hear the same again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide. */
export function setShown(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** A new element with a class and text. */
export function create(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Names and their values in a <dl>. */
export function setFacts(list, rows) {
  while (list.children.length > rows.length) list.lastElementChild.remove();
  while (list.children.length < rows.length) {
    const row = create("div");
    row.append(create("dt"), create("dd"));
    list.append(row);
  }
  rows.forEach(([name, value], i) => {
    setText(list.children[i].firstElementChild, name);
    setText(list.children[i].lastElementChild, value);
  });
}

/** Says things to screen readers once they have held for a moment; the last one wins. */
export class Announcer {
  constructor(region, delayMs = 800) {
    this.region = region;
    this.delayMs = delayMs;
    this.timer = 0;
  }

  say(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => setText(this.region, text), this.delayMs);
  }
}
