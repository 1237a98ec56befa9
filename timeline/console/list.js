/** The view of many sagas, newest first. */

import { sagas } from "./api.js";
import { copyButton, element, say } from "./dom.js";
import { live } from "./live.js";
import { settings } from "./settings.js";
import { ago, eventCount, howLong, moment, sagaLink, words } from "./words.js";

const EVERY_MS = 2_000;
const FILTERS = { "": "All", open: "Open", stuck: "Stuck", done: "Done" };
const NONE = {
  "": "No orders yet. Place one, and its saga appears here while it runs.",
  open: "Nothing is under way right now.",
  stuck: "Nothing is stuck.",
  done: "No saga has ended yet.",
};

const NONE_SO_FAR = "None among the newest. Older ones may be there: go on below.";

/**
 * @param {URLSearchParams} query status; cursor, where it is not the newest page
 * @param {string} cameFrom the saga that the reader comes back from, if any
 * @returns {() => void} how to leave the view
 */
export function showList(root, query, cameFrom) {
  const status = query.get("status") ?? "";
  const rows = new Map();
  let shownLinks = "";
  const list = element("ol", { class: "sagas", "aria-label": "Orders" });
  const empty = element("p", { class: "empty" });
  const pages = element("nav", { class: "pages", "aria-label": "Pages" });
  const loading = element("p", { class: "loading" }, "Loading");
  const { node: freshness, stop } = live((signal) => sagas(query, signal), show);

  document.title = `${status ? `${FILTERS[status] ?? status} orders` : "Orders"} · ${settings.title}`;
  root.replaceChildren(
    element("div", { class: "heading" }, element("h1", { tabindex: "-1" }, "Orders"), filters(status), freshness),
    loading, list, empty, pages,
  );
  return stop;

  function show({ items, nextCursor }) {
    const first = loading.isConnected;
    loading.remove();
    inPlace(list, () => update(items));
    say(empty, items.length ? "" : nextCursor ? NONE_SO_FAR : (NONE[status] ?? "Nothing has this status."));
    showPages(nextCursor);
    if (first && cameFrom) rows.get(cameFrom)?.link.focus();
    return EVERY_MS;
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
    const to = (cursor) => `#/?${new URLSearchParams({ ...(status && { status }), ...(cursor && { cursor }) })}`;
    const links = [query.has("cursor") && ["Newest", to()], nextCursor && ["Older", to(nextCursor)]].filter(Boolean);
    // Left alone while they are the same, so that they keep the focus.
    if (links.join() === shownLinks) return;
    shownLinks = links.join();
    pages.replaceChildren(...links.map(([name, href]) => element("a", { href }, name)));
  }
}

const filters = (status) =>
  element("nav", { class: "filters", "aria-label": "Status" },
    ...Object.entries(FILTERS).map(([value, name]) =>
      element("a", {
        href: value ? `#/?status=${value}` : "#/",
        "aria-current": value === status ? "page" : undefined,
      }, name)));

/** Changes the list under a reader who has scrolled into it without moving what is being read. */
function inPlace(list, change) {
  const seen = scrollY > 0 && [...list.children].find((node) => node.getBoundingClientRect().top >= 0);
  const before = seen && seen.getBoundingClientRect().top;
  change();
  if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
}

function row(id) {
  const link = element("a", { class: "id", href: sagaLink(id), title: id }, id);
  const [state, outcome, count, took, when] =
    ["state", "outcome", "count", "took", "when"].map((name) => element("span", { class: name }));
  const node = element("li", {}, state, link, outcome, count, took, when, copyButton(id, id));
  const time = element("time");
  when.append(time);

  function show(saga) {
    if (node.dataset.status !== saga.status) state.replaceChildren(badge(saga.status));
    node.dataset.status = saga.status;
    say(time, ago(saga.started));
    say(took, howLong(saga));
    say(outcome, words(saga.outcome ?? saga.lastType));
    say(count, eventCount(saga));
    time.dateTime = saga.started;
    time.title = moment(saga.started);
  }
  return { node, link, show };
}

/** A saga's status as word and shape. */
export const badge = (status) => element("span", { class: `badge ${status}` }, FILTERS[status] ?? status);
