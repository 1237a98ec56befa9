/** The view of what is usual in a window of time: which ways sagas take, how long, and how that compares. */

import { flow } from "./api.js";
import { histogram, throughput } from "./charts.js";
import { comparison } from "./comparison.js";
import { element } from "./dom.js";
import { badge, ENDINGS } from "./ending.js";
import { listLink } from "./filters.js";
import { flowMap } from "./flowmap.js";
import { counted, noun, nouns } from "./noun.js";
import { timeRange } from "./range.js";
import { SessionEnded } from "./session.js";
import { settings } from "./settings.js";
import { ago, duration, moment, number, percent, sagaLink, words } from "./words.js";
import { variantTable } from "./variants.js";

const WINDOW = ["from", "to", "againstFrom", "againstTo"];

/**
 * @param {URLSearchParams} query the window, and the one it is compared with
 * @returns {() => void} how to leave the view
 */
export function showFlow(root, query) {
  const asked = Object.fromEntries(WINDOW.map((name) => [name, query.get(name)]).filter(([, value]) => value));
  const left = new AbortController();
  const about = element("p", { class: "about quiet", role: "status" }, "Reading");
  const body = element("div", { class: "flow" });
  document.title = `Flow · ${settings.title}`;
  root.replaceChildren(
    element("div", { class: "heading" }, element("h1", { tabindex: "-1" }, "Flow"),
      element("button", { type: "button", class: "again", click: load }, "Read again")),
    about, windowForm(asked), body);
  load();
  return () => left.abort();

  async function load() {
    body.setAttribute("aria-busy", "true");
    try {
      show(await flow(new URLSearchParams(asked), left.signal));
    } catch (error) {
      if (left.signal.aborted) return;
      if (error instanceof SessionEnded) document.dispatchEvent(new CustomEvent("session-ended"));
      else about.replaceChildren(error instanceof TypeError ? "No answer. Read again in a moment." : error.message);
    } finally {
      body.removeAttribute("aria-busy");
    }
  }

  function show({ window, against, compared }) {
    if (!window.sagas) {
      about.replaceChildren();
      body.replaceChildren(element("p", { class: "empty" }, `No ${noun} began in this time.`));
      return;
    }
    // A list's end is exclusive. That of a window which has no end is its newest saga.
    const end = asked.to ? window.to : new Date(Date.parse(window.to) + 1).toISOString();
    const inWindow = (filters) => listLink({ from: window.from, to: end, ...filters });
    about.replaceChildren(
      `${counted(window.sagas)}, from ${moment(window.from)} to ${moment(window.to)}`,
      window.more ? ": the newest, there are more. " : ". ",
      ...(against ? [`Compared with ${counted(against.sagas)}, from ${moment(against.from)} to ${moment(against.to)}.`] : []));
    body.replaceChildren(
      endings(window, inWindow), percentiles(window, inWindow),
      ...(against ? [comparison(window, against, compared)] : []),
      section("Map", flowMap(window, inWindow)),
      section("Paths", variantTable(window, inWindow)),
      section("Throughput", throughput(window)),
      section("Duration", histogram(window, inWindow)),
      element("div", { class: "columns" },
        section("Oldest open", oldest(window)), section("Unusual", unusual(window))),
    );
  }
}

const section = (name, ...content) => element("section", {}, element("h2", {}, name), ...content);

const endings = ({ endings, sagas }, inWindow) =>
  element("ul", { class: "tiles", "aria-label": "Endings" },
    ...Object.keys(ENDINGS).filter((ending) => endings[ending]).map((ending) =>
      element("li", {},
        element("a", { href: inWindow({ ending }) },
          badge(ending), element("strong", {}, number(endings[ending])),
          element("span", { class: "quiet" }, percent(endings[ending] / sagas))))));

const PERCENTILES = { p50: "Half take longer than", p95: "5 % take longer than", p99: "1 % take longer than", max: "The slowest took" };

const percentiles = ({ durations }, inWindow) =>
  element("ul", { class: "tiles", "aria-label": "Duration" },
    ...Object.entries(durations ? PERCENTILES : {}).map(([name, meaning]) =>
      element("li", {},
        element("a", { href: inWindow({ slowerThan: String(name === "max" ? durations.max - 1 : durations[name]) }) },
          element("span", { class: "quiet" }, meaning), element("strong", {}, duration(durations[name])),
          element("span", { class: "quiet" }, name)))));

const oldest = ({ oldestOpen }) =>
  oldestOpen.length
    ? element("ul", { class: "found" }, ...oldestOpen.map(({ id, started, lastType, ending }) =>
      element("li", {}, badge(ending), found(id), element("span", {}, words(lastType)),
        element("span", { class: "quiet" }, `began ${ago(started)}`))))
    : element("p", { class: "quiet" }, `None of these ${nouns} is open.`);

const unusual = ({ unusual }) =>
  unusual.length
    ? element("ul", { class: "found" }, ...unusual.map(({ id, why, durationMs, share, p99 }) =>
      element("li", {}, found(id), element("span", {}, why === "rare"
        ? `took a path of ${percent(share)}` : `${duration(durationMs)}, slower than the p99 of its path, ${duration(p99)}`))))
    : element("p", { class: "quiet" }, "None: no path under 1 %, and nothing slower than the p99 of its path.");

const found = (id) => element("a", { class: "id", href: sagaLink(id), title: id }, id);

/** To choose the window, and what it is compared with. */
function windowForm({ from, to, againstFrom, againstTo }) {
  const range = timeRange({ from, to }, "Window");
  const against = timeRange({ from: againstFrom, to: againstTo }, "Compare");
  const before = element("button", { type: "button", class: "plain", click: justBefore }, "The time just before the window");
  const problem = element("p", { class: "problem", role: "alert" });

  function justBefore() {
    const { from, to } = range.read();
    if (!from) return problem.replaceChildren("Say first from when the window is.");
    const start = Date.parse(from), end = to ? Date.parse(to) : Date.now();
    return against.fill(new Date(2 * start - end), new Date(start));
  }

  function submit(event) {
    event.preventDefault();
    const { from: againstFrom, to: againstTo } = against.read();
    if (Boolean(againstFrom) !== Boolean(againstTo)) {
      problem.replaceChildren("What it is compared with needs both: from and to.");
      return;
    }
    const chosen = Object.entries({ ...range.read(), againstFrom, againstTo }).filter(([, value]) => value);
    location.hash = chosen.length ? `#/flow?${new URLSearchParams(chosen)}` : "#/flow";
  }

  return element("details", { class: "more" },
    element("summary", {}, "Window and comparison"),
    element("form", { submit, "aria-label": "Window and comparison" },
      range.node, against.node, before, element("button", { class: "primary" }, "Read"), problem));
}
