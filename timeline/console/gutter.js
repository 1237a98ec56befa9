/** The picture for a narrow screen: beside the list of events a lane per service, time running downwards. */

import { edgeClass, edges, lanes } from "./causality.js";
import { shape } from "./dom.js";

const LANE_PX = 20, ROOM_PX = 110, MARK = 11;

/** @param {HTMLElement} list The list of events, whose rows it follows. */
export function gutter(list) {
  const picture = shape("svg", { class: "gutter", "aria-hidden": "true" });
  let events = [];
  new ResizeObserver(draw).observe(list);

  function draw() {
    const names = lanes(events);
    const lanePx = Math.min(LANE_PX, ROOM_PX / names.length);
    const rows = events.length ? [...list.children] : [];
    const lane = (index) => (index + 0.5) * lanePx;
    const x = (event) => lane(names.indexOf(event.lane));
    const y = new Map(rows.map((row, index) => [events[index], row.offsetTop + row.offsetHeight / 2]));
    list.style.setProperty("--gutter", `${names.length * lanePx}px`);
    rows.forEach((row, index) => row.style.setProperty("--lane", `${x(events[index])}px`));
    picture.setAttribute("width", names.length * lanePx);
    picture.setAttribute("height", list.offsetHeight);
    picture.replaceChildren(
      ...names.map((_, index) => shape("path", { class: "lane-line", d: `M${lane(index)} 0V${list.offsetHeight}` })),
      ...edges(events).map((edge) => {
        const from = x(edge.cause), to = x(edge.effect);
        const start = y.get(edge.cause) + MARK, end = y.get(edge.effect) - MARK;
        const bend = Math.min(60, Math.abs(end - start) / 2);
        const d = `M${from} ${start}C${from} ${start + bend} ${to} ${end - bend} ${to} ${end}`;
        return shape("path", { class: edgeClass(edge), d });
      }),
    );
  }

  return {
    node: picture,
    show(changed) {
      events = changed;
      draw();
    },
  };
}
