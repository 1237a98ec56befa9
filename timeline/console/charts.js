/** Bars: how many sagas began when and how they ended, how long they took. A table stands behind each. */

import { element, shape } from "./dom.js";
import { badge, ENDINGS } from "./ending.js";
import { listLink } from "./filters.js";
import { nouns, Nouns } from "./noun.js";
import { behind } from "./table.js";
import { clock, duration, moment, number } from "./words.js";

const WIDTH = 1000, HEIGHT = 180, GAP = 0.12, LABELS = 6;

/** A column per minute, or per whatever a bucket is, stacked by ending. */
export function throughput({ minutes, bucketMs }) {
  const known = Object.keys(ENDINGS).filter((ending) => minutes.some(({ endings }) => endings[ending]));
  const total = ({ endings }) => Object.values(endings).reduce((sum, count) => sum + count, 0);
  const most = Math.max(1, ...minutes.map(total));
  const link = ({ minute }, ending) =>
    listLink({ from: minute, to: new Date(Date.parse(minute) + bucketMs).toISOString(), ending });
  const columns = minutes.map((each, index) => {
    let below = HEIGHT;
    const parts = known.map((ending) => {
      const height = ((each.endings[ending] ?? 0) / most) * HEIGHT;
      below -= height;
      return shape("rect", { class: ending, ...column(index, minutes.length), y: below, height });
    });
    const said = known.filter((ending) => each.endings[ending])
      .map((ending) => `${number(each.endings[ending])} ${ENDINGS[ending].toLowerCase()}`).join(", ");
    return bar(link(each), `${moment(each.minute)}: ${said || "none"}`, index, minutes.length, ...parts);
  });
  return element("div", { class: "chart" },
    element("p", { class: "legend" },
      element("span", { class: "quiet" }, `${Nouns} that began in ${duration(bucketMs)}, at most ${number(most)}`),
      ...known.map((ending) => badge(ending))),
    picture(columns),
    scaleBelow(minutes.map(({ minute }) => clock(new Date(minute)))),
    behind(`Throughput of ${nouns}`, ["Began", "All", ...known.map((ending) => ENDINGS[ending])], minutes.map((each) => [
      moment(each.minute),
      element("a", { href: link(each) }, number(total(each))),
      ...known.map((ending) => element("a", { href: link(each, ending) }, number(each.endings[ending] ?? 0))),
    ])));
}

/** How many took how long. The buckets grow with the duration. */
export function histogram({ histogram }, inWindow) {
  const most = Math.max(1, ...histogram.map(({ count }) => count));
  const name = ({ from, to }) => (to === undefined ? `${duration(from)} or more` : `${duration(from)} to ${duration(to)}`);
  // The list knows slower and faster than; a bucket has its lower bound in it.
  const link = ({ from, to }) => inWindow({ slowerThan: from ? String(from - 1) : undefined, fasterThan: to && String(to) });
  const columns = histogram.map((each, index) => {
    const height = (each.count / most) * HEIGHT;
    const part = shape("rect", { class: "amount", ...column(index, histogram.length), y: HEIGHT - height, height });
    return bar(link(each), `${name(each)}: ${number(each.count)}`, index, histogram.length, part);
  });
  return element("div", { class: "chart" },
    element("p", { class: "legend quiet" }, `${Nouns} that ended, by duration; the highest column is ${number(most)}`),
    picture(columns),
    scaleBelow(histogram.map(({ from }) => duration(from))),
    behind("Duration", ["Took", Nouns], histogram.map((each) => [
      name(each), element("a", { href: link(each) }, number(each.count)),
    ])));
}

const column = (index, of) => ({ x: ((index + GAP / 2) / of) * WIDTH, width: ((1 - GAP) / of) * WIDTH });

const bar = (href, title, index, of, ...parts) =>
  shape("a", { href, tabindex: "-1" },
    shape("title", {}, title),
    shape("rect", { class: "hit", x: (index / of) * WIDTH, width: WIDTH / of, y: 0, height: HEIGHT }), ...parts);

/** For pointing; the table behind it is for the keyboard and for reading aloud. */
const picture = (columns) =>
  shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...columns);

function scaleBelow(names) {
  const every = Math.max(1, Math.ceil(names.length / LABELS));
  const shown = names.filter((_, index) => index % every === 0);
  return element("div", { class: "scale quiet", "aria-hidden": "true" }, ...shown.map((name) => element("span", {}, name)));
}
