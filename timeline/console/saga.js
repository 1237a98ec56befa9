/** The view of one saga: its fate and why, its picture, its events. */

import { saga } from "./api.js";
import { json, linkTo, paragraph } from "./copies.js";
import { announce, copyable, copyButton, element, icon, say } from "./dom.js";
import { DRAWN_AT_MOST, drawing } from "./drawing.js";
import { badge, ENDINGS } from "./ending.js";
import { eventList } from "./events.js";
import { live } from "./live.js";
import { elsewhere, notices } from "./notices.js";
import { noun, Noun, Nouns } from "./noun.js";
import { logsQuery, payload } from "./payload.js";
import { isOperator } from "./session.js";
import { settings } from "./settings.js";
import { ago, eventCount, howLong, moment, sagaLink, words } from "./words.js";

const OPEN_EVERY_MS = 1_500;
const ENDED_EVERY_MS = 10_000; // a shopper may still cancel, and it goes on

/**
 * @param {string} id
 * @param {string} wanted address of the event to show, if any
 * @param {string} back address of the list that the reader came from
 * @returns {{leave: () => void, select: (event?: string) => void}} how to leave the view; how to show another event
 */
export function showSaga(root, id, wanted, back) {
  let current, text, home;
  const picture = drawing((key) => open(key, picture.mark), (key) => panel.key && choose(key));
  const list = eventList((key) => open(key, list.row));
  const panel = payload(id, choose, close);
  const verdict = element("p", { class: "verdict" });
  const time = element("span", { class: "quiet" });
  const reason = element("p", { class: "why" });
  const facts = element("p", { class: "facts quiet" });
  const notes = element("div", { class: "notices" });
  const key = legend();
  const state = element("div", {}, element("p", { class: "loading" }, "Loading"));
  const body = element("div", { class: "saga", hidden: "" },
    verdict, reason, facts,
    element("p", { class: "copies" }, element("span", { class: "quiet" }, "Copy"),
      copyButton(() => linkTo(id), `link to this ${noun}`, "link"),
      copyButton(() => json(current), `this ${noun} as JSON`, "JSON"),
      copyButton(() => paragraph(current), "paragraph for the incident's log", "paragraph")),
    notes,
    element("div", { class: "stage", keydown: (press) => press.key === "Escape" && panel.key && close() },
      element("div", { class: "picture" }, picture.node, key), panel.node, list.node),
    ...(isOperator() ? [elsewhere()] : []),
    element("h2", {}, "Logs"),
    copyable(`Logs Insights query of the whole ${noun}`, logsQuery(id)));
  const { node: freshness, stop } = live((signal) => saga(id, signal), show, missing);

  document.title = `${Noun} ${id} · ${settings.title}`;
  root.replaceChildren(
    element("div", { class: "heading" }, element("a", { href: back }, `← ${Nouns}`), freshness),
    element("div", { class: "name" },
      element("h1", { tabindex: "-1" }, `${Noun} `, element("span", { class: "id" }, id)), copyButton(id, id)),
    state, body,
  );
  return { leave: stop, select };

  /** Shows an event, from the mark or the row that is to have the focus again once it is closed. */
  function open(key, from) {
    home = from;
    choose(key);
    if (!panel.key) return;
    panel.focus();
    panel.node.scrollIntoView({ block: "nearest" });
  }

  function choose(key) {
    const event = current.events.find((each) => each.key === key);
    if (!event) return;
    panel.show(event, current.events);
    mark(key);
    // Its address takes the place of the saga's: Back leads to the list, however many events were looked at.
    history.replaceState(null, "", sagaLink(id, event.address));
  }

  function mark(key) {
    body.classList.toggle("beside", key !== undefined);
    picture.select(key);
    list.select(key);
  }

  function close() {
    const { key } = panel;
    panel.hide();
    mark(undefined);
    history.replaceState(null, "", sagaLink(id));
    const before = home ?? list.row;
    (before(key) ?? list.row(key))?.focus();
  }

  function select(address) {
    wanted = address;
    if (!current) return;
    if (address === undefined) {
      if (panel.key) close();
      return;
    }
    const event = current.events.find((each) => each.address === address)
      ?? current.events.find((each) => each.eventId === address);
    if (event) open(event.key, list.row);
    else announce("The event of this address is not here");
    wanted = undefined;
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
      notes.replaceChildren(...notices(current, (key) => open(key, list.row)));
      showEvents();
    }
    if (wanted !== undefined) select(wanted);
    return current.status === "done" ? ENDED_EVERY_MS : OPEN_EVERY_MS;
  }

  function showEvents() {
    const { events } = current;
    const drawn = events.length <= DRAWN_AT_MOST;
    picture.node.parentElement.hidden = !drawn;
    list.show(events);
    picture.show(drawn ? events : []);
    key.replaceChildren(...legendOf(events));
    const shown = events.find((event) => event.key === panel.key);
    if (shown) {
      panel.show(shown, events);
      mark(shown.key);
    }
  }

  /** Says how it stands, and makes the moment seen and heard in which that changes. */
  function conclude(before) {
    const { status, ending, outcome, lastType } = current;
    const how = words(outcome ?? lastType);
    verdict.replaceChildren(element("strong", {}, how), " ", time, badge(ending));
    say(reason, current.reason ?? "");
    reason.dataset.ending = ending;
    document.title = `${how} · ${noun} ${id} · ${settings.title}`;
    const turned = before && before.status !== status;
    verdict.classList.toggle("turned", Boolean(turned));
    if (turned) {
      announce(status === "stuck" ? `Stuck after ${how.toLowerCase()}` : `${ENDINGS[ending]}: ${how} ${time.textContent}`);
    }
  }

  function missing() {
    say(freshness, current ? "No longer there" : "Still looking");
    if (current) return;
    document.title = `Unknown ${noun} · ${settings.title}`;
    state.replaceChildren(element("p", { class: "empty" },
      `There is no ${noun} of this id that you may see. If it began this moment, it appears here by itself.`));
  }
}

const LEGEND = {
  step: "Step", outcome: "Outcome", failure: "Failure", compensation: "Compensation", giveUp: "A consumer gave up",
};

const legend = () => element("p", { class: "legend quiet", "aria-hidden": "true" });

/** Of what is in the picture. */
function legendOf(events) {
  const line = (kind, name) => element("span", { class: `line ${kind}` }, name);
  const roles = new Set(events.map(({ role }) => role));
  return [
    ...Object.entries(LEGEND).filter(([role]) => roles.has(role))
      .map(([role, name]) => element("span", {}, icon(role), name)),
    ...(events.some(({ critical }) => critical) ? [line("critical", "Critical path")] : []),
    ...(events.some(({ inferred }) => inferred) ? [line("then", "Then: in this order, no event says why")] : []),
  ];
}
