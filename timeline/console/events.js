/** The events of a saga, a row each: a plain list of few, a waterfall with a common time axis of many. */

import { called, DRAWN_AT_MOST } from "./drawing.js";
import { element, icon, say } from "./dom.js";
import { gutter } from "./gutter.js";
import { duration, gap, isSlow } from "./words.js";
import { waterfall } from "./waterfall.js";

/** So many rows are filled at once, which is more than a screen shows; then others have their turn. */
const AT_ONCE = 60;

/** @param {(key: string) => void} open Called for the row that is chosen. */
export function eventList(open) {
  const rows = new Map();
  const list = element("ol", { class: "events", "aria-label": "Events", keydown: travel });
  const beside = gutter(list);
  const controls = waterfall(rows);
  const count = element("span", { class: "quiet" });
  const node = element("section", { class: "braid" }, element("h2", {}, "Events ", count),
    controls.node, element("div", { class: "rows" }, beside.node, list));
  let events = [], stop, filling;

  function show(changed) {
    events = changed;
    const many = events.length > DRAWN_AT_MOST;
    node.classList.toggle("many", many);
    const keys = new Set(events.map(({ key }) => key));
    for (const [key, { node }] of rows) {
      if (keys.has(key)) continue;
      node.remove();
      rows.delete(key);
    }
    events.forEach((event, index) => {
      if (!rows.has(event.key)) rows.set(event.key, row(event.key));
      const { node } = rows.get(event.key);
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    fill(events);
    stopAt(rows.get(stop) ? stop : events[0]?.key);
    beside.show(many ? [] : events);
    controls.node.hidden = !many;
    if (many) controls.show(events);
    say(count, String(events.length));
  }

  function fill(wanted) {
    clearTimeout(filling);
    for (const event of wanted.slice(0, AT_ONCE)) describe(rows.get(event.key), event);
    if (wanted.length > AT_ONCE) filling = setTimeout(() => fill(wanted.slice(AT_ONCE)));
  }

  function row(key) {
    const button = element("button", { type: "button", click: () => open(key), focus: () => stopAt(key) });
    return { button, node: element("li", {}, button) };
  }

  /** Many rows are one stop for the Tab key. */
  function stopAt(key) {
    const many = events.length > DRAWN_AT_MOST;
    if (stop !== key && rows.has(stop)) rows.get(stop).button.tabIndex = many ? -1 : 0;
    stop = key;
    for (const [each, { button }] of rows) {
      const tabIndex = !many || each === key ? 0 : -1;
      if (button.tabIndex !== tabIndex) button.tabIndex = tabIndex;
    }
  }

  function travel(press) {
    const shown = [...rows.values()].filter(({ node }) => !node.hidden).map(({ button }) => button);
    const here = shown.indexOf(document.activeElement);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: shown.length - 1 }[press.key];
    if (here < 0 || to === undefined) return;
    press.preventDefault();
    shown[to]?.focus();
  }

  return {
    node, show,
    row: (key) => rows.get(key)?.button,
    select(key) {
      for (const [each, { button }] of rows) {
        if (each === key) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      }
    },
  };
}

function describe({ node, button }, event) {
  node.classList.toggle("critical", Boolean(event.critical));
  button.replaceChildren(
    icon(event.role, event.failure?.redrivenAt),
    element("span", { class: "what" },
      element("span", { class: "type" }, called(event),
        event.role === "step" || event.role === "giveUp"
          ? undefined : element("span", { class: "role" }, `, ${event.role}`)),
      reasonOf(event)),
    element("span", { class: "who" }, event.lane),
    element("span", { class: "track", "aria-hidden": "true" },
      element("span", { class: "bar" }), element("span", { class: `tick ${event.role}` })),
    element("span", { class: isSlow(event) ? "gap slow" : "gap" },
      event.causeMissing ? "its cause was not kept" : gap(event),
      event.critical ? element("span", { class: "unseen" }, ", on the critical path") : undefined),
    element("span", { class: "offset" }, `+${duration(event.offsetMs)}`),
  );
}

function reasonOf({ reason, failure }) {
  const why = reason ?? failure?.exception?.split("\n")[0];
  return why ? element("span", { class: "reason" }, why) : undefined;
}
