/** How a saga ended, or that it has not: as word, shape and colour. */

import { element, shape } from "./dom.js";

/** Of every ending its word; in the order in which they are listed and stacked. */
export const ENDINGS = {
  succeeded: "Succeeded",
  failed: "Failed",
  calledOff: "Called off",
  stuck: "Stuck",
  open: "Open",
};

const SHAPES = {
  succeeded: "M3.5 8.5L6.5 11.5L12.5 4.5",
  failed: "M4 4L12 12M12 4L4 12",
  calledOff: "M3 8H13",
  stuck: "M8 2.5L14 13.5H2ZM8 6.5V9.5M8 11.4V11.6",
  open: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6Z",
};

const sign = (ending) =>
  shape("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true" },
    shape("path", { d: SHAPES[ending] ?? SHAPES.open }));

/** @param {string} ending  @param {string} [text] what it says, if not the ending's word */
export const badge = (ending, text = ENDINGS[ending] ?? ending) =>
  element("span", { class: `badge ${ending}` }, sign(ending), text);
