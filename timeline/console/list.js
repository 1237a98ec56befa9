/** The view of many sagas, newest first. */

import { NotFound, saga, sagas } from "./api.js";
import { copyButton, element, say } from "./dom.js";
import { badge } from "./ending.js";
import { chosenFilters, endingFilter, filtersOf, listLink, moreFilters } from "./filters.js";
import { live } from "./live.js";
import { counted, noun, nouns, Nouns } from "./noun.js";
import { settings } from "./settings.js";
import { ago, eventCount, howLong, moment, sagaLink, words } from "./words.js";

const EVERY_MS = 2_000;
const FIND_EVERY_MS = 15_000; // to find reads much

const NONE = {
  open: "Nothing is under way right now.",
  stuck: "Nothing is stuck.",
  succeeded: `No ${noun} has succeeded yet.`,
  failed: "Nothing has failed.",
  calledOff: "Nothing was called off.",
};

const NONE_YET = `No ${nouns} yet. Place one, and its saga appears here while it runs.`;
const NONE_SO_FAR = "None among the newest. Older ones may be there: go on below.";

/**
 * @param {URLSearchParams} query filters; cursor, where it is not the newest page
 * @param {string} cameFrom the saga that the reader comes back from, if any
 * @returns {() => void} how to leave the view
 */
export function showList(root, query, cameFrom) {
  const filters = filtersOf(query), cursor = query.get("cursor") ?? undefined;
  const asked = new URLSearchParams({ ...filters, ...(cursor && { cursor }) });
  const rows = new Map();
  let shownLinks = "";
  const list = element("ol", { class: "sagas", "aria-label": Nouns });
  const empty = element("p", { class: "empty" });
  const read = element("p", { class: "read quiet" });
  const pages = element("nav", { class: "pages", "aria-label": "Pages" });
  const loading = element("p", { class: "loading" }, "Loading");
  const { node: freshness, stop } = live((signal) => sagas(asked, signal).then(orTheOneOfThisId(signal)), show);

  document.title = `${titled(filters)} · ${settings.title}`;
  root.replaceChildren(
    element("div", { class: "heading" }, element("h1", { tabindex: "-1" }, Nouns), freshness),
    element("div", { class: "filters" }, endingFilter(filters), moreFilters(filters)),
    ...[chosenFilters(filters)].filter(Boolean),
    loading, list, empty, read, pages,
  );
  return stop;

  /** Only the newest are looked through for the beginning of an id; a whole id is found however old it is. */
  function orTheOneOfThisId(signal) {
    return async (page) => {
      if (!filters.find || page.items.length || page.nextCursor) return page;
      const items = await saga(filters.find, signal).then((found) => [found], (error) => {
        if (error instanceof NotFound) return [];
        throw error;
      });
      return { ...page, items };
    };
  }

  function show({ items, nextCursor, read: looked }) {
    const first = loading.isConnected;
    loading.remove();
    if (first && filters.find && !cursor && items.length === 1 && !nextCursor && cameFrom !== items[0].id) {
      location.replace(sagaLink(items[0].id));
      return EVERY_MS;
    }
    inPlace(list, () => update(items));
    say(empty, items.length ? "" : nextCursor ? NONE_SO_FAR : nothing(looked));
    say(read, items.length || nextCursor ? `${items.length} shown, ${counted(looked)} read` : "");
    showPages(nextCursor);
    if (first && cameFrom) rows.get(cameFrom)?.link.focus();
    return filters.find ? FIND_EVERY_MS : EVERY_MS;
  }

  function nothing(looked) {
    const { ending, find, ...others } = filters;
    if (find) {
      return `There is no ${noun} that you may see whose id, or whose trace's or event's, begins with ${find}, `
        + `among the newest ${counted(looked)}.`;
    }
    if (Object.keys(others).length || cursor) return `No ${noun} is like that. ${counted(looked)} read.`;
    return ending ? (NONE[ending] ?? "There is no such ending.") : NONE_YET;
  }

  function update(items) {
    const wanted = new Set(items.map((item) => item.id));
    for (const [id, { node }] of rows) {
      if (wanted.has(id)) continue;
      if (node.contains(document.activeElement)) {
        (node.nextElementSibling ?? node.previousElementSibling)?.querySelector("a").focus({ preventScroll: true });
      }
      node.remove();
      rows.delete(id);
    }
    let next = list.firstChild;
    for (const item of items) {
      if (!rows.has(item.id)) rows.set(item.id, row(item.id));
      const { node, show } = rows.get(item.id);
      show(item);
      // A row that stands where it should is not touched: moving it would take the focus from it.
      if (node === next) next = next.nextSibling;
      else list.insertBefore(node, next);
    }
  }

  function showPages(nextCursor) {
    const links = [
      cursor && ["Newest", listLink(filters)],
      nextCursor && ["Older", listLink({ ...filters, cursor: nextCursor })],
    ].filter(Boolean);
    // Not touched while they are the same, so that they keep the focus.
    if (links.join() === shownLinks) return;
    shownLinks = links.join();
    pages.replaceChildren(...links.map(([name, href]) => element("a", { href }, name)));
  }
}

const titled = ({ ending, find }) =>
  find ? `${find} · ${Nouns}` : ending ? `${Nouns}: ${words(ending).toLowerCase()}` : Nouns;

/** Changes the list under a reader who has scrolled into it without moving what is being read. */
function inPlace(list, change) {
  const seen = scrollY > 0 && [...list.children].find((node) => node.getBoundingClientRect().top >= 0);
  const before = seen && seen.getBoundingClientRect().top;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
}

function row(id) {
  const link = element("a", { class: "id", href: sagaLink(id), title: id }, id);
  const [state, outcome, reason, gaveUp, count, took, when] =
    ["state", "outcome", "reason", "gave-up", "count", "took", "when"].map((name) => element("span", { class: name }));
  const what = element("span", { class: "what" }, outcome, reason, gaveUp);
  const node = element("li", {}, state, what, link, count, took, when, copyButton(id, id));
  const time = element("time");
  when.append(time);

  function show(saga) {
    if (node.dataset.ending !== saga.ending) state.replaceChildren(badge(saga.ending));
    node.dataset.ending = saga.ending;
    say(time, ago(saga.started));
    say(took, howLong(saga));
    say(outcome, words(saga.outcome ?? saga.lastType));
    say(reason, saga.reason ?? (saga.failedStep ? words(saga.failedStep) : ""));
    say(gaveUp, givenUp(saga.giveUps));
    say(count, eventCount(saga));
    time.dateTime = saga.started;
    time.title = moment(saga.started);
  }
  return { node, link, show };
}

/** How many consumers gave up on an event of it, and nobody has sent it to them again. */
const givenUp = (count) => (count ? `${count} ${count === 1 ? "consumer" : "consumers"} gave up` : "");
