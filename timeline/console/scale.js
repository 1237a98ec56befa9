/** The time axis. Time is drawn in proportion, but a silence that would squeeze all else together is folded. */

const FOLD_PX = 110;
const TICK_PX = 96;
const SILENCE_MS = 5_000;

/**
 * @param {number[]} offsets ms since the start, ascending
 * @param {number} from px  @param {number} to px
 * @returns {{x: (ms: number) => number, ms: (at: number) => number, ticks: {at, ms}[], folds: {from, to, ms}[]}}
 *   at, from, to: in px
 */
export function scale(offsets, from, to) {
  const gaps = offsets.slice(1).map((ms, index) => ({ start: offsets[index], ms: ms - offsets[index] }));
  const folded = silences(gaps);
  const busy = gaps.reduce((sum, gap) => sum + (folded.has(gap) ? 0 : gap.ms), 0) || 1;
  const foldPx = folded.size ? Math.min(FOLD_PX, (to - from) / 2 / folded.size) : 0;
  const perMs = (to - from - foldPx * folded.size) / busy;

  const knots = [{ ms: offsets[0] ?? 0, at: from }];
  for (const gap of gaps) {
    const { at } = knots.at(-1);
    knots.push({ ms: gap.start + gap.ms, at: at + (folded.has(gap) ? foldPx : gap.ms * perMs) });
  }
  const x = (ms) => knots.findLast((knot) => knot.ms <= ms)?.at ?? from;
  const ms = (at) => {
    const index = Math.max(1, knots.findIndex((knot) => knot.at >= at));
    const before = knots[index - 1], after = knots[index] ?? before;
    return before.ms + ((at - before.at) / (after.at - before.at || 1)) * (after.ms - before.ms);
  };
  const folds = [...folded].sort((a, b) => a.start - b.start)
    .map(({ start, ms }) => ({ from: x(start), to: x(start + ms), ms }));
  return { x, ms, ticks: ticks(knots, folds, perMs), folds };
}

/** The gaps that are long, and longer by far than all the shorter ones together. */
function silences(gaps) {
  const ascending = [...gaps].sort((a, b) => a.ms - b.ms);
  let sum = 0;
  const first = ascending.findIndex((gap) => {
    const silent = sum > 0 && gap.ms > SILENCE_MS && gap.ms > 4 * sum;
    sum += gap.ms;
    return silent;
  });
  return new Set(first < 0 ? [] : ascending.slice(first));
}

/** Round figures up to the first fold; after it, where things start again. */
function ticks(knots, folds, perMs) {
  const roughly = TICK_PX / perMs;
  const power = 10 ** Math.floor(Math.log10(roughly));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= roughly);
  const [{ ms: start, at: from }] = knots;
  const until = folds[0]?.from ?? knots.at(-1).at;
  const round = Array.from({ length: Math.floor((until - from) / (step * perMs)) + 1 }, (_, index) => index * step);
  return [
    ...round.map((ms) => ({ ms: start + ms, at: from + ms * perMs })),
    ...folds.map((fold) => knots.find((knot) => knot.at === fold.to)),
  ];
}
