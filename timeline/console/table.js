/** Tables: of numbers, or behind a picture for those who do not see it. */

import { element } from "./dom.js";

/**
 * @param {string} name what it is a table of
 * @param {string[]} columns
 * @param {(string | Node | (string | Node)[])[][]} rows The first cell of each is its heading.
 */
export const table = (name, columns, rows) =>
  element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    element("table", {},
      element("caption", { class: "unseen" }, name),
      element("thead", {}, element("tr", {}, ...columns.map((column) => element("th", { scope: "col" }, column)))),
      element("tbody", {}, ...rows.map(([first, ...cells]) =>
        element("tr", {}, element("th", { scope: "row" }, ...[first].flat()),
          ...cells.map((cell) => element("td", {}, ...[cell].flat())))))));

/** The same as a picture, in numbers. */
export const behind = (name, columns, rows) =>
  element("details", { class: "behind" }, element("summary", {}, `${name} as a table`), table(name, columns, rows));
