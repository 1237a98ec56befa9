/** Two windows side by side: before and after a deployment, say. */

import { element } from "./dom.js";
import { ENDINGS, badge } from "./ending.js";
import { listLink } from "./filters.js";
import { typesOf } from "./layers.js";
import { table } from "./table.js";
import { bar, path } from "./variants.js";
import { duration, percent, words } from "./words.js";

const AS_GOOD_AS_SAME = 0.005;

export function comparison(window, against, { variants, edges }) {
  const within = ({ from, to }) => (filters) => listLink({ from, to, ...filters });
  const now = within(window), before = within(against);
  const both = (share, againstShare, filters) => [
    [bar(againstShare, "before"), element("a", { href: before(filters) }, percent(againstShare))],
    [bar(share), element("a", { href: now(filters) }, percent(share))],
    change(share, againstShare),
  ];
  const of = ({ endings, sagas }, ending) => (endings[ending] ?? 0) / (sagas || 1);
  const typeOf = typesOf([...window.nodes, ...against.nodes]);
  const step = ({ from, to }) => ({ edge: `${typeOf(from)}>${typeOf(to)}` });
  const known = Object.keys(ENDINGS).filter((ending) => window.endings[ending] || against.endings[ending]);
  return element("section", { class: "comparison" },
    element("h2", {}, "Before and now"),
    table("Endings, before and now", ["Ending", "Before", "Now", "Change"], known.map((ending) =>
      [badge(ending), ...both(of(window, ending), of(against, ending), { ending })])),
    table("Paths, before and now", ["Path", "Before", "Now", "Change"], variants.map((variant) =>
      [path(variant.steps), ...both(variant.share, variant.againstShare, { variant: variant.key })])),
    table("Steps, before and now", ["Step", "p50 before", "p50 now", "Change"], edges.map((edge) => [
      `${words(typeOf(edge.from))} → ${words(typeOf(edge.to)).toLowerCase()}`,
      time(edge.againstP50, before(step(edge))), time(edge.p50, now(step(edge))),
      element("span", { class: `change ${edge.change}` }, edge.change),
    ])));
}

const time = (ms, href) => (ms === undefined ? "–" : element("a", { href }, duration(ms)));

function change(share, againstShare) {
  const kind = !againstShare ? "new" : !share ? "gone"
    : Math.abs(share - againstShare) < AS_GOOD_AS_SAME ? "same" : share > againstShare ? "more" : "rarer";
  return element("span", { class: `change ${kind}` }, kind);
}
