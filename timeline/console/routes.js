/** Leads each edge from mark to mark, clear of every mark that is not its own. */

const CLEAR = 18, MARK = 14, STEP = 16, CORNER = 9, STEPS_OF_A_CURVE = 20;
const HIT = 10_000, BESIDE_ANOTHER = 40, BEND = 16;

/**
 * @param {{x, y}[]} marks
 * @param {number} channel How far above and below a mark there is room, from end to end of the picture.
 * @param {{left, right}} bounds
 * @returns {(from, to) => {line: string, head: string, points: {x, y}[]}} the edge between two of the marks: the paths of
 *   its line and of its arrow's head, and points on its way
 */
export function router(marks, channel, bounds) {
  const used = [];

  function cost(points, own, best) {
    let sum = 0;
    for (let index = 1; index < points.length && sum < best; index++) {
      const a = points[index - 1], b = points[index];
      sum += Math.hypot(b.x - a.x, b.y - a.y);
      for (const mark of marks) if (!own.includes(mark) && apart(mark, a, b) < CLEAR) sum += HIT;
      for (const other of used) if (alongside(other, a, b)) sum += BESIDE_ANOTHER;
    }
    return sum;
  }

  return (from, to) => {
    const own = [from, to], curve = bow(from, to);
    let least = cost(curve.points, own, Infinity), best;
    if (least < HIT) return curve;
    for (const points of ways(from, to, channel, bounds)) {
      const bends = BEND * (points.length - 2);
      const sum = bends + cost(points, own, least - bends);
      if (sum < least) [least, best] = [sum, points];
    }
    if (!best) return curve;
    best.slice(1).forEach((point, index) => used.push([best[index], point]));
    return { ...rounded(best), points: best };
  };
}

/** A curve that leaves and arrives sideways; upright where there is no room for that. */
function bow(from, to) {
  const down = Math.sign(to.y - from.y);
  const upright = to.x - from.x < 3 * MARK && down;
  const [start, end] = upright
    ? [{ x: from.x, y: from.y + down * MARK }, { x: to.x, y: to.y - down * MARK }]
    : [{ x: from.x + MARK, y: from.y }, { x: to.x - MARK, y: to.y }];
  const bend = upright ? (end.y - start.y) / 2 : Math.max(12, (end.x - start.x) / 2);
  const [one, two] = upright
    ? [{ x: start.x, y: start.y + bend }, { x: end.x, y: end.y - bend }]
    : [{ x: start.x + bend, y: start.y }, { x: end.x - bend, y: end.y }];
  const at = (axis, t) =>
    (1 - t) ** 3 * start[axis] + 3 * (1 - t) ** 2 * t * one[axis] + 3 * (1 - t) * t ** 2 * two[axis] + t ** 3 * end[axis];
  const points = Array.from({ length: STEPS_OF_A_CURVE + 1 }, (_, step) => step / STEPS_OF_A_CURVE)
    .map((t) => ({ x: at("x", t), y: at("y", t) }));
  return { points, line: `M${xy(start)}C${xy(one)} ${xy(two)} ${xy(end)}`, head: arrow(two, end) };
}

/** The ways with right angles: along a row or a channel beside it, across at some x, along again. */
function* ways(from, to, channel, { left, right }) {
  const low = Math.max(left, Math.min(from.x, to.x) - 6 * STEP), high = Math.min(right, Math.max(from.x, to.x) + 6 * STEP);
  const exits = [from.y, from.y - channel, from.y + channel], entries = [to.y, to.y - channel, to.y + channel];
  for (const exit of exits) {
    for (const entry of entries) {
      for (let x = low; x <= high; x += STEP) {
        yield simple([from, { x: from.x, y: exit }, { x, y: exit }, { x, y: entry }, { x: to.x, y: entry }, to]);
      }
    }
  }
}

/** Without points that say nothing: those doubled, and those on the way. */
function simple(points) {
  const distinct = points.filter(({ x, y }, index) => index === 0 || x !== points[index - 1].x || y !== points[index - 1].y);
  const turns = ({ x, y }, index) => {
    const before = distinct[index - 1], after = distinct[index + 1];
    if (!before || !after) return true;
    return !(before.x === x && x === after.x) && !(before.y === y && y === after.y);
  };
  return distinct.filter(turns);
}

/** The distance of a point from a line's nearest point. */
function apart(point, a, b) {
  const dx = b.x - a.x, dy = b.y - a.y;
  const t = Math.max(0, Math.min(1, ((point.x - a.x) * dx + (point.y - a.y) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(point.x - a.x - t * dx, point.y - a.y - t * dy);
}

/** Whether two lines would be taken for one. */
function alongside([c, d], a, b) {
  const along = a.x === b.x ? "y" : "x", across = along === "y" ? "x" : "y";
  if (a[across] !== b[across] || c[across] !== d[across] || Math.abs(a[across] - c[across]) > 4) return false;
  const overlap = Math.min(Math.max(a[along], b[along]), Math.max(c[along], d[along]))
    - Math.max(Math.min(a[along], b[along]), Math.min(c[along], d[along]));
  return overlap > MARK;
}

const xy = ({ x, y }) => `${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;

const towards = (from, to, by) => {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return { x: from.x + ((to.x - from.x) * by) / length, y: from.y + ((to.y - from.y) * by) / length };
};

function rounded(points) {
  const start = towards(points[0], points[1], MARK), end = towards(points.at(-1), points.at(-2), MARK);
  const way = [start, ...points.slice(1, -1), end];
  const corners = way.slice(1, -1).map((corner, index) => {
    const before = way[index], after = way[index + 2];
    const room = (other) => Math.min(CORNER, Math.hypot(other.x - corner.x, other.y - corner.y) / 2);
    return `L${xy(towards(corner, before, room(before)))}Q${xy(corner)} ${xy(towards(corner, after, room(after)))}`;
  });
  return { line: `M${xy(start)}${corners.join("")}L${xy(end)}`, head: arrow(way.at(-2), end) };
}

function arrow(from, tip) {
  const back = towards(tip, from, 5.5);
  const side = { x: (tip.y - back.y) * 0.75, y: (back.x - tip.x) * 0.75 };
  return `M${xy({ x: back.x + side.x, y: back.y + side.y })}L${xy(tip)}L${xy({ x: back.x - side.x, y: back.y - side.y })}`;
}
