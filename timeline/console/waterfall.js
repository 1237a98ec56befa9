/** Lays many rows out on a common time axis: a bar from an event's cause to it. Zoom, lanes and failures to choose. */

import { lanes } from "./causality.js";
import { element, say, shape } from "./dom.js";
import { scale } from "./scale.js";
import { duration } from "./words.js";

const HEIGHT = 42, FAILURES = new Set(["failure", "giveUp"]), ENOUGH_PX = 6;

/** @param {Map<string, {node: HTMLElement}>} rows of the events, by key */
export function waterfall(rows) {
  const off = new Set();
  const axis = shape("svg", { class: "axis", height: HEIGHT, "aria-hidden": "true", pointerdown: startDrag });
  const services = element("div", { class: "toggles", role: "group", "aria-label": "Services" });
  const failures = toggle("Failures only", false, () => lay());
  const shown = element("span", { class: "quiet", role: "status" });
  const button = (name, click) => element("button", { type: "button", click }, name);
  const node = element("div", { class: "waterfall", hidden: "" },
    element("div", { class: "controls" }, services, failures,
      element("div", { class: "zoom", role: "group", "aria-label": "Time axis" },
        button("Zoom in", () => zoom(0.25, 0.75)), button("Zoom out", () => zoom(-0.5, 1.5)),
        button("Earlier", () => zoom(-0.5, 0.5)), button("Later", () => zoom(0.5, 1.5)), button("Whole", whole)),
      shown),
    axis);
  let events = [], stretch, current;
  new ResizeObserver(lay).observe(axis);

  const end = () => events.at(-1).offsetMs;

  function whole() {
    stretch = undefined;
    lay();
  }

  /** From and to are shares of what the axis shows now. Earlier and Later keep its length. */
  function zoom(from, to) {
    const [start, stop] = stretch ?? [0, end()];
    const inside = from >= 0 && to <= 1;
    const at = (share) => (inside ? current.ms(share * axis.clientWidth) : start + share * (stop - start));
    const [first, last] = [Math.max(0, at(from)), Math.min(end(), at(to))];
    if (last - first >= 1) stretch = first <= 0 && last >= end() ? undefined : [first, last];
    lay();
  }

  function lay() {
    if (!events.length || !axis.clientWidth) return;
    const [first, last] = stretch ?? [0, end()];
    const inside = events.filter(({ offsetMs }) => offsetMs >= first && offsetMs <= last);
    const offsets = [...new Set([first, ...inside.map(({ offsetMs }) => offsetMs), last])];
    current = scale(offsets, 0, axis.clientWidth);
    const onlyFailures = failures.getAttribute("aria-pressed") === "true";
    let count = 0;
    for (const event of events) {
      const { node } = rows.get(event.key);
      const visible = event.offsetMs >= first && event.offsetMs <= last && !off.has(event.lane)
        && (!onlyFailures || FAILURES.has(event.role));
      node.hidden = !visible;
      if (!visible) continue;
      count++;
      const at = current.x(event.offsetMs);
      node.style.setProperty("--at", `${at}px`);
      node.style.setProperty("--cause", `${Math.min(at, current.x(event.offsetMs - (event.gapMs ?? 0)))}px`);
    }
    say(shown, count < events.length ? `${count} of ${events.length} events` : "");
    drawAxis();
  }

  function drawAxis() {
    const text = (at, words) => {
      const anchor = at < 30 ? "start" : at > axis.clientWidth - 30 ? "end" : "middle";
      return shape("text", { x: at, y: 12, "text-anchor": anchor }, words);
    };
    axis.replaceChildren(
      ...current.ticks.map(({ at, ms }) =>
        shape("g", { class: "tick" }, shape("path", { d: `M${at} 17V${HEIGHT}` }), text(at, ms ? duration(ms) : "0"))),
      ...current.folds.map(({ from, to, ms }) =>
        shape("g", { class: "fold" },
          shape("path", { d: `M${from} 36h${(to - from) / 2 - 7}l4 -4l6 8l4 -4H${to}` }),
          shape("text", { x: (from + to) / 2, y: 28, "text-anchor": "middle" }, duration(ms)))));
  }

  /** A stretch of the axis that is dragged over is what it shows next. */
  function startDrag(press) {
    const left = axis.getBoundingClientRect().left, start = press.clientX - left;
    const band = shape("rect", { class: "band", x: start, y: 0, width: 0, height: HEIGHT });
    const done = new AbortController(), signal = done.signal;
    axis.append(band);
    axis.setPointerCapture(press.pointerId);
    axis.addEventListener("pointermove", ({ clientX }) => {
      const here = clientX - left;
      band.setAttribute("x", Math.min(start, here));
      band.setAttribute("width", Math.abs(here - start));
    }, { signal });
    axis.addEventListener("pointerup", ({ clientX }) => {
      done.abort();
      band.remove();
      const [from, to] = [start, clientX - left].sort((a, b) => a - b);
      const clamp = (at) => Math.max(0, Math.min(1, at / axis.clientWidth));
      if (to - from > ENOUGH_PX) zoom(clamp(from), clamp(to));
    }, { signal });
  }

  function showServices() {
    const names = lanes(events);
    if (services.children.length === names.length) return;
    services.replaceChildren(...names.map((name) => toggle(name, !off.has(name), (on) => {
      if (on) off.delete(name);
      else off.add(name);
      lay();
    })));
  }

  return {
    node,
    show(changed) {
      events = changed;
      showServices();
      lay();
    },
  };
}

function toggle(name, on, turned) {
  const button = element("button", { type: "button", class: "toggle", "aria-pressed": String(on) }, name);
  button.addEventListener("click", () => {
    const next = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(next));
    turned(next);
  });
  return button;
}
