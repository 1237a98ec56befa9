/** The view of one saga: its fate, its picture, its events. */

import { saga } from "./api.js";
import { announce, copyable, copyButton, element, icon, say } from "./dom.js";
import { drawing } from "./drawing.js";
import { gutter } from "./gutter.js";
import { badge } from "./list.js";
import { live } from "./live.js";
import { logsQuery, payload } from "./payload.js";
import { settings } from "./settings.js";
import { ago, duration, eventCount, gap, howLong, moment, service, words } from "./words.js";

const OPEN_EVERY_MS = 1_500;
const ENDED_EVERY_MS = 10_000; // a shopper may still cancel, and it goes on

const LEGEND = { step: "Step", outcome: "Outcome", failure: "Failure", compensation: "Compensation" };

/**
 * @param {string} id
 * @param {string} back address of the list that the reader came from
 * @returns {() => void} how to leave the view
 */
export function showSaga(root, id, back) {
  let current, text;
  const picture = drawing((key) => open(key, picture.mark));
  const rows = new Map();
  const list = element("ol", { class: "events", "aria-label": "Events" });
  const beside = gutter(list);
  let home = picture.mark;
  const dialog = payload((key) => home(key));
  const verdict = element("p", { class: "verdict" });
  const time = element("span", { class: "quiet" });
  const facts = element("p", { class: "facts quiet" });
  const truncated = element("p", { class: "note", hidden: "" },
    "This saga has more events than are shown here: these are the newest.");
  const state = element("div", {}, element("p", { class: "loading" }, "Loading"));
  const body = element("div", { class: "saga", hidden: "" },
    verdict, facts, truncated,
    picture.node, legend(),
    element("h2", {}, "Events"),
    element("div", { class: "braid" }, beside.node, list),
    element("h2", {}, "Logs"),
    copyable("Logs Insights query of the whole order", logsQuery(id)));
  const { node: freshness, stop } = live((signal) => saga(id, signal), show, missing);

  document.title = `Order ${id} · ${settings.title}`;
  root.replaceChildren(
    element("div", { class: "heading" }, element("a", { href: back }, "← Orders"), freshness),
    element("div", { class: "name" },
      element("h1", { tabindex: "-1" }, "Order ", element("span", { class: "id" }, id)), copyButton(id, id)),
    state, body, dialog.node,
  );
  return stop;

  function open(key, mark) {
    home = mark;
    dialog.open(current.events.find((event) => event.key === key), current.events);
  }

  function show(answer) {
    const before = current;
    current = answer;
    state.replaceChildren();
    body.hidden = false;
    say(time, current.status === "done" ? `in ${howLong(current)}` : howLong(current));
    say(facts, `${eventCount(current)}, started ${ago(current.started)}, ${moment(current.started)}`);
    const told = JSON.stringify({ ...answer, durationMs: undefined }); // which passes even where nothing else does
    if (told !== text) {
      text = told;
      conclude(before);
      truncated.hidden = !current.truncated;
      showEvents();
      picture.show(current);
      beside.show(current.events);
    }
    return current.status === "done" ? ENDED_EVERY_MS : OPEN_EVERY_MS;
  }

  /** Says how it stands, and makes the moment seen and heard in which that changes. */
  function conclude(before) {
    const { status, outcome, lastType } = current;
    const how = words(outcome ?? lastType);
    verdict.replaceChildren(badge(status), element("strong", {}, how), " ", time);
    document.title = `${how} · order ${id} · ${settings.title}`;
    const turned = before && before.status !== status;
    verdict.classList.toggle("turned", Boolean(turned));
    if (turned) announce(status === "stuck" ? `Stuck after ${how.toLowerCase()}` : `${how} ${time.textContent}`);
  }

  function showEvents() {
    for (const event of current.events) {
      if (!rows.has(event.key)) rows.set(event.key, row(event.key));
      rows.get(event.key).show(event);
    }
    current.events.forEach(({ key }, index) => {
      const { node } = rows.get(key);
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
  }

  function row(key) {
    const click = () => open(key, (id) => rows.get(id)?.button);
    const button = element("button", { type: "button", "aria-haspopup": "dialog", click });
    return { button, node: element("li", {}, button), show: (event) => describe(button, event) };
  }

  function missing() {
    say(freshness, current ? "No longer there" : "Still looking");
    if (current) return;
    document.title = `Unknown order · ${settings.title}`;
    state.replaceChildren(element("p", { class: "empty" },
      "There is no order of this id that you may see. If it was placed this moment, it appears here by itself."));
  }
}

function describe(button, event) {
  button.parentElement.classList.toggle("critical", Boolean(event.critical));
  button.replaceChildren(
    icon(event.role),
    element("span", { class: "what" }, words(event.type),
      event.role === "step" ? undefined : element("span", { class: "role" }, `, ${event.role}`)),
    element("span", { class: "who" }, service(event.source)),
    element("span", { class: "gap" }, gap(event),
      event.critical ? element("span", { class: "unseen" }, ", on the critical path") : undefined),
    element("span", { class: "offset" }, `+${duration(event.offsetMs)}`),
  );
}

const legend = () =>
  element("p", { class: "legend quiet", "aria-hidden": "true" },
    ...Object.entries(LEGEND).map(([role, name]) => element("span", {}, icon(role), name)),
    element("span", { class: "path" }, "Critical path"));
