/** A window of time, in fields of the reader's own time zone. */

import { element } from "./dom.js";

const MINUTE_MS = 60_000;
const PRESETS = { "15 min": 15, "1 h": 60, "24 h": 24 * 60, "7 d": 7 * 24 * 60 };

/**
 * @param {{from?: string, to?: string}} window ISO 8601; `to` is not in it
 * @param {string} name What it is the time of.
 * @returns {{node: HTMLElement, read: () => {from?: string, to?: string}, fill: (from?: Date, to?: Date) => void}}
 */
export function timeRange({ from, to }, name) {
  const id = name.toLowerCase().replaceAll(" ", "-");
  const field = (label, iso) => {
    const input = element("input", { id: `${id}-${label}`, type: "datetime-local", step: "1", value: local(iso) });
    return { input, node: element("div", {}, element("label", { for: input.id }, `${name} ${label}`), input) };
  };
  const since = field("from", from), until = field("to", to);
  const fill = (start, end) => {
    since.input.value = local(start);
    until.input.value = local(end);
  };
  const preset = ([label, minutes]) =>
    element("button", {
      type: "button", class: "plain", "aria-label": `${name} in the last ${label}`,
      click: () => fill(new Date(Date.now() - minutes * MINUTE_MS)),
    }, label);
  const node = element("div", { class: "range", role: "group", "aria-label": name },
    since.node, until.node,
    element("div", { class: "presets" }, element("span", { class: "quiet" }, "The last"),
      ...Object.entries(PRESETS).map(preset)));
  return { node, fill, read: () => ({ from: iso(since.input.value), to: iso(until.input.value) }) };
}

const iso = (value) => (value ? new Date(value).toISOString() : undefined);

/** As such a field wants it: local time, without a zone. */
function local(time) {
  const date = new Date(time);
  if (time === undefined || Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 19);
}
