// The drivers of a day as a table that sorts by any column, by mouse or keyboard.

import { byId, create, setShown } from "../core/dom.js";
import { keepToken } from "../core/link.js";
import { COLUMNS, hoursOf, sorted, sparkline, sparkText } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [96, 26];
// Rows that are drawn at once; thousands would hold up the page.
const ROWS = 100;

export class Table {
  constructor({ token, announcer, dayOf }) {
    Object.assign(this, { token, announcer, dayOf });
    this.drivers = [];
    this.key = "distance_m";
    this.down = true;
    this.shown = ROWS;
    for (const column of COLUMNS) byId("columns").append(this.head(column));
    byId("more").addEventListener("click", () => {
      this.shown += ROWS;
      this.draw();
    });
  }

  head(column) {
    const cell = create("th");
    cell.scope = "col";
    if (column.text === null) {
      cell.textContent = column.title;
      return cell;
    }
    const button = create("button", "sort", column.title);
    button.type = "button";
    button.addEventListener("click", () => this.sortBy(column));
    cell.append(button);
    column.cell = cell;
    return cell;
  }

  sortBy({ key, title, name = false }) {
    this.down = this.key === key ? !this.down : !name;
    this.key = key;
    this.draw();
    this.announcer.say(`Sorted by ${title}, ${this.down ? "highest" : "lowest"} first`);
  }

  set(drivers, span) {
    this.drivers = drivers;
    this.span = span;
    this.draw();
  }

  draw() {
    for (const { key, cell } of COLUMNS) {
      if (cell === undefined) continue;
      if (key === this.key) cell.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const rows = sorted(this.drivers, this.key, this.down).slice(0, this.shown);
    byId("rows").replaceChildren(...rows.map((driver) => this.row(driver)));
    setShown(byId("more"), this.drivers.length > this.shown);
  }

  row(driver) {
    const row = create("tr");
    for (const column of COLUMNS) {
      if (column.name) row.append(this.name(driver));
      else if (column.text === null) row.append(this.spark(driver));
      else row.append(create("td", "number", column.text(driver)));
    }
    return row;
  }

  name({ driver_id: id }) {
    const link = create("a", "", id);
    link.href = `/map#driver=${encodeURIComponent(id)}&day=${this.dayOf()}`;
    keepToken(link, this.token);
    const cell = create("th");
    cell.scope = "row";
    cell.append(link);
    return cell;
  }

  spark({ buckets }) {
    const hours = hoursOf(buckets, this.span);
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    picture.setAttribute("class", "spark");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", sparkText(hours, this.span.startMs));
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", sparkline(hours, WIDTH, HEIGHT));
    picture.append(line);
    const cell = create("td");
    cell.append(picture);
    return cell;
  }
}
