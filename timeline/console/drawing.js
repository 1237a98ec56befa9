/** A saga as a picture: a lane per service, events as marks on one time axis, curves from cause to effect. */

import { edgeClass, edges, lanes } from "./causality.js";
import { element, icon, shape } from "./dom.js";
import { router } from "./routes.js";
import { scale } from "./scale.js";
import { duration, words } from "./words.js";

const LEFT = 124, RIGHT = 32, AXIS = 36, FOLD = 26, ROW = 62, PADDING = 3, MARK = 14;
const LANE_LETTERS = 13, LABEL_LETTERS = 26, LETTER_PX = 6.7, LABEL_PX = 20;

/** More events than this are a row each, in a waterfall. */
export const DRAWN_AT_MOST = 40;

/**
 * @param {(key: string) => void} open Called for the mark that is chosen.
 * @param {(key: string) => void} visit Called for the mark that the focus comes to.
 */
export function drawing(open, visit) {
  const picture = shape("svg", { "aria-hidden": "true" });
  const label = "Events on a time axis";
  const node = element("div", { class: "drawing", role: "group", "aria-label": label, keydown: travel }, picture);
  const marks = new Map();
  let events = [], placed = [], selected;
  new ResizeObserver(draw).observe(node);

  function draw() {
    if (!node.clientWidth || !events.length) return;
    const axis = scale(events.map((event) => event.offsetMs), LEFT, node.clientWidth - RIGHT);
    const { rows, height } = place(events, axis, node.clientWidth);
    placed = rows.flatMap((lane) => lane.events);
    const at = new Map(placed.map((each) => [each.event.key, each]));
    const routed = route(at);
    picture.setAttribute("height", height);
    picture.replaceChildren(
      ...rows.flatMap(drawLane),
      ...axis.folds.map((fold) => drawFold(fold, height)),
      ...axis.ticks.map((tick) => drawTick(tick, height)),
      ...routed.flatMap(drawEdge),
      ...labels(placed, routed, node.clientWidth).map(drawLabel),
    );
    placeMarks(at);
  }

  function route(at) {
    const bounds = { left: LEFT - 2 * MARK, right: node.clientWidth - MARK / 2 };
    const lead = router(placed, ROW / 2, bounds);
    return edges(events).map((edge) => ({ ...edge, ...lead(at.get(edge.cause.key), at.get(edge.effect.key)) }));
  }

  function placeMarks(at) {
    for (const [key, button] of marks) {
      if (at.has(key)) continue;
      button.remove();
      marks.delete(key);
    }
    events.forEach((event, index) => {
      if (!marks.has(event.key)) marks.set(event.key, newMark(event));
      const button = marks.get(event.key);
      const { x, y } = at.get(event.key);
      button.style.translate = `${x - MARK}px ${y - MARK}px`;
      const next = node.children[index + 1]; // after the picture
      if (next !== button) node.insertBefore(button, next ?? null);
    });
    highlight(selected);
    // One stop for the Tab key; from there the arrow keys lead on.
    const buttons = [...marks.values()];
    if (!buttons.some((button) => button.tabIndex === 0)) buttons[0].tabIndex = 0;
  }

  function highlight(key) {
    for (const [each, button] of marks) {
      if (each === key) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  const newMark = (event) =>
    element("button", {
      class: "mark",
      type: "button",
      tabindex: "-1",
      title: `${called(event)}, ${event.lane}, +${duration(event.offsetMs)}`,
      "data-key": event.key,
      "aria-label": `${called(event)}, ${event.lane}, after ${duration(event.offsetMs)}`,
      click: () => open(event.key),
      focus: () => {
        marks.forEach((button, key) => (button.tabIndex = key === event.key ? 0 : -1));
        visit(event.key);
      },
    }, icon(event.role));

  /** Left and right follow time, up and down change the lane. */
  function travel(press) {
    const here = placed.find(({ event }) => marks.get(event.key) === document.activeElement);
    if (!here) return;
    const inTime = events.map((event) => event.key);
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
      events = changed;
      draw();
    },
    select(key) {
      selected = key;
      highlight(key);
    },
  };
}

/** Gives every event its place: `x` of its time, `y` of a row of its lane in which nothing overlaps. */
function place(events, { x, folds }, width) {
  let height = AXIS + (folds.length ? FOLD : 0);
  const names = lanes(events);
  const rows = names.map((name) => {
    const ends = [];
    const top = height + PADDING;
    const own = events.filter((event) => event.lane === name).map((event) => {
      const label = shortened(called(event), LABEL_LETTERS);
      const wide = label.length * LETTER_PX;
      const centre = x(event.offsetMs);
      const before = centre + wide > width;
      const left = before ? centre - wide : centre - MARK;
      const free = ends.findIndex((end) => end <= left);
      const row = free < 0 ? ends.length : free;
      ends[row] = Math.max(centre + MARK, before ? 0 : centre + wide + 8);
      return { event, label, wide, before, x: centre, y: top + (row + 0.5) * ROW };
    });
    const bottom = top + ends.length * ROW + PADDING;
    const placed = { name, top: height, bottom, events: own };
    height = bottom + 4;
    return placed;
  });
  return { rows, height };
}

const shortened = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

/** What a mark is labelled with. */
export const called = ({ role, type }) => (role === "giveUp" ? `Gave up on ${words(type).toLowerCase()}` : words(type));

/** Puts each label above or below its mark, to its right or left: where it hides least. */
function labels(placed, routed, width) {
  const lines = routed.flatMap(({ points }) => points.slice(1).map((point, index) => [points[index], point]));
  const taken = [];
  return placed.map((each) => {
    const choices = [each.before, !each.before].flatMap((before) =>
      [-1, 1].map((side) => ({ ...each, before, side, box: labelBox(each, before, side) })));
    const hidden = ({ before, box }) =>
      (box.left < LEFT - MARK || box.right > width ? 100 : 0)
      + lines.filter(([a, b]) => overlap(box, around(a, b))).length
      + 5 * taken.filter((other) => overlap(box, other)).length
      + 5 * placed.filter((other) => other !== each && overlap(box, around(other, other, MARK / 2))).length
      + (before === each.before ? 0 : 0.5);
    const best = choices.reduce((least, next) => (hidden(next) < hidden(least) ? next : least));
    taken.push(best.box);
    return best;
  });
}

const labelBox = ({ x, y, wide }, before, side) => {
  const left = before ? x + 8 - wide : x - 8, middle = y + side * LABEL_PX;
  return { left, right: left + wide, top: middle - 7, bottom: middle + 7 };
};

const around = (a, b, by = 1) => ({
  left: Math.min(a.x, b.x) - by, right: Math.max(a.x, b.x) + by,
  top: Math.min(a.y, b.y) - by, bottom: Math.max(a.y, b.y) + by,
});

const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const drawEdge = (edge) => [
  shape("path", { class: edgeClass(edge), d: edge.line, "data-cause": edge.cause.key, "data-effect": edge.effect.key }),
  shape("path", { class: `${edgeClass(edge)} head`, d: edge.head }),
];

const drawLane = ({ name, top, bottom }) => [
  shape("rect", { class: "lane", x: 0, y: top, width: "100%", height: bottom - top, rx: 10 }),
  shape("text", { class: "lane-name", x: 16, y: (top + bottom) / 2, "dominant-baseline": "central" },
    shortened(name, LANE_LETTERS)),
];

const drawTick = ({ at, ms }, height) =>
  shape("g", { class: "tick" },
    shape("path", { d: `M${at} ${AXIS - 6}V${height}` }),
    shape("text", { x: at, y: AXIS - 14, "text-anchor": "middle" }, ms ? duration(ms) : "0"));

/** A silence, with how long it was: time stands still in it. */
const drawFold = ({ from, to, ms }, height) => {
  const middle = (from + to) / 2, top = AXIS + FOLD - 6;
  return shape("g", { class: "fold" },
    shape("rect", { x: from + MARK, y: top, width: Math.max(0, to - from - 2 * MARK), height: height - top, rx: 6 }),
    shape("path", { d: `M${from + MARK} ${top}l4 -4l6 8l4 -4H${to - MARK - 14}l4 -4l6 8l4 -4` }),
    shape("text", { x: middle, y: AXIS + 10, "text-anchor": "middle" }, duration(ms)));
};

const drawLabel = ({ label, before, side, x, y }) =>
  shape("text", {
    class: "label",
    x: before ? x + 8 : x - 8,
    y: y + side * LABEL_PX,
    "text-anchor": before ? "end" : "start",
    "dominant-baseline": "central",
  }, label);
