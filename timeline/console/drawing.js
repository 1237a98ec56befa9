/** A saga as a picture: a lane per service, events as marks on one time axis, curves from cause to effect. */

import { edgeClass, edges, lanes } from "./causality.js";
import { element, icon, shape } from "./dom.js";
import { scale } from "./scale.js";
import { duration, service, words } from "./words.js";

const LEFT = 124, RIGHT = 32, AXIS = 36, ROW = 62, PADDING = 3, MARK = 14;
const LANE_LETTERS = 13, LABEL_LETTERS = 26, LETTER_PX = 6.7, LABELLED_AT_MOST = 40;

/** @param {(key: string) => void} open Called for the mark that is chosen. */
export function drawing(open) {
  const picture = shape("svg", { "aria-hidden": "true" });
  const label = "Events on a time axis";
  const node = element("div", { class: "drawing", role: "group", "aria-label": label, keydown: travel }, picture);
  const marks = new Map();
  let saga = { events: [] }, placed = [];
  new ResizeObserver(draw).observe(node);

  function draw() {
    const { events } = saga;
    if (!node.clientWidth || !events.length) return;
    const axis = scale(events.map((event) => event.offsetMs), LEFT, node.clientWidth - RIGHT);
    const { rows, height } = place(events, axis.x, node.clientWidth);
    placed = rows.flatMap((lane) => lane.events);
    const at = new Map(placed.map((each) => [each.event.key, each]));
    picture.setAttribute("height", height);
    picture.replaceChildren(
      ...rows.flatMap(drawLane),
      ...axis.folds.map((fold) => drawFold(fold, height)),
      ...axis.ticks.map((tick) => drawTick(tick, height)),
      ...edges(events).map((edge) =>
        shape("path", { class: edgeClass(edge), d: curve(at.get(edge.cause.key), at.get(edge.effect.key)) })),
      ...placed.filter((each) => each.label).map(drawLabel),
    );
    placeMarks(at);
  }

  function placeMarks(at) {
    saga.events.forEach((event, index) => {
      if (!marks.has(event.key)) marks.set(event.key, mark(event));
      const button = marks.get(event.key);
      const { x, y } = at.get(event.key);
      button.style.translate = `${x - MARK}px ${y - MARK}px`;
      const next = node.children[index + 1]; // after the picture
      if (next !== button) node.insertBefore(button, next ?? null);
    });
    // One stop for the Tab key; from there the arrow keys lead on.
    const buttons = [...marks.values()];
    if (!buttons.some((button) => button.tabIndex === 0)) buttons[0].tabIndex = 0;
  }

  const mark = (event) =>
    element("button", {
      class: "mark",
      type: "button",
      tabindex: "-1",
      title: `${words(event.type)}, ${service(event.source)}, +${duration(event.offsetMs)}`,
      "aria-label": `${words(event.type)}, ${service(event.source)}, after ${duration(event.offsetMs)}`,
      "aria-haspopup": "dialog",
      click: () => open(event.key),
      focus: () => marks.forEach((button, id) => (button.tabIndex = id === event.key ? 0 : -1)),
    }, icon(event.role));

  /** Left and right follow time, up and down change the lane. */
  function travel(press) {
    const here = placed.find(({ event }) => marks.get(event.key) === document.activeElement);
    if (!here) return;
    const inTime = saga.events.map((event) => event.key);
    const index = inTime.indexOf(here.event.key);
    const to = {
      ArrowRight: () => inTime[index + 1],
      ArrowLeft: () => inTime[index - 1],
      ArrowDown: () => nearest(here, (y) => y > here.y),
      ArrowUp: () => nearest(here, (y) => y < here.y),
      Home: () => inTime[0],
      End: () => inTime.at(-1),
    }[press.key];
    if (!to) return;
    press.preventDefault();
    marks.get(to())?.focus();
  }

  function nearest(here, isThatWay) {
    const apart = (there, axis) => Math.abs(there[axis] - here[axis]);
    const [first] = placed
      .filter(({ y }) => isThatWay(y))
      .sort((a, b) => apart(a, "y") - apart(b, "y") || apart(a, "x") - apart(b, "x"));
    return first?.event.key;
  }

  return {
    node,
    mark: (key) => marks.get(key),
    show(changed) {
      saga = changed;
      draw();
    },
  };
}

/**
 * Gives every event its place: `x` of its time, `y` of a row of its lane in which nothing overlaps. Each label stands
 * on that side of its mark, above (-1) or below (1), from which the curves beside it do not come.
 */
function place(events, x, width) {
  const labelled = events.length <= LABELLED_AT_MOST;
  let height = AXIS;
  const sources = lanes(events);
  const lane = ({ source }) => sources.indexOf(source);
  const known = edges(events);
  const rows = sources.map((source) => {
    const ends = [];
    const top = height + PADDING;
    const own = events.filter((event) => event.source === source).map((event) => {
      const label = labelled ? shortened(words(event.type), LABEL_LETTERS) : "";
      const wide = label.length * LETTER_PX;
      const centre = x(event.offsetMs);
      const before = centre + wide > width;
      const left = before ? centre - wide : centre - MARK;
      const [here, there] = before ? ["effect", "cause"] : ["cause", "effect"];
      const below = known.some((edge) => edge[here] === event && lane(edge[there]) < lane(event));
      const free = ends.findIndex((end) => end <= left);
      const row = free < 0 ? ends.length : free;
      ends[row] = Math.max(centre + MARK, before ? 0 : centre + wide + 8);
      return { event, label, before, side: below ? 1 : -1, x: centre, y: top + (row + 0.5) * ROW };
    });
    const bottom = top + ends.length * ROW + PADDING;
    const placed = { source, top: height, bottom, events: own };
    height = bottom + 4;
    return placed;
  });
  return { rows, height };
}

const shortened = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

const drawLane = ({ source, top, bottom }) => [
  shape("rect", { class: "lane", x: 0, y: top, width: "100%", height: bottom - top, rx: 10 }),
  shape("text", { class: "lane-name", x: 16, y: (top + bottom) / 2, "dominant-baseline": "central" },
    shortened(service(source), LANE_LETTERS)),
];

const drawTick = ({ at, ms }, height) =>
  shape("g", { class: "tick" },
    shape("path", { d: `M${at} ${AXIS - 6}V${height}` }),
    shape("text", { x: at, y: AXIS - 14, "text-anchor": "middle" }, ms ? duration(ms) : "0"));

const drawFold = ({ from, to, ms }, height) =>
  shape("g", { class: "fold" },
    shape("rect", { x: from + MARK, y: AXIS, width: Math.max(0, to - from - 2 * MARK), height: height - AXIS }),
    shape("title", {}, `${duration(ms)} of silence, not drawn in proportion`));

const drawLabel = ({ label, before, side, x, y }) =>
  shape("text", {
    class: "label",
    x: before ? x + 8 : x - 8,
    y: y + side * 20,
    "text-anchor": before ? "end" : "start",
    "dominant-baseline": "central",
  }, label);

/** From mark to mark, leaving and arriving sideways; upright where there is no room for that. */
function curve(from, to) {
  const down = Math.sign(to.y - from.y);
  if (to.x - from.x < 3 * MARK && down) {
    const start = from.y + down * MARK, end = to.y - down * MARK, bend = (end - start) / 2;
    return `M${from.x} ${start}C${from.x} ${start + bend} ${to.x} ${end - bend} ${to.x} ${end}`
      + `m-4 ${-5 * down}L${to.x} ${end}l4 ${-5 * down}`;
  }
  const start = from.x + MARK, end = to.x - MARK, bend = Math.max(12, (end - start) / 2);
  return `M${start} ${from.y}C${start + bend} ${from.y} ${end - bend} ${to.y} ${end} ${to.y}m-5 -4L${end} ${to.y}l-5 4`;
}
