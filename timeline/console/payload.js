/** One event in full, beside the picture, with the ways on to its trace and its logs. */

import { causeIds, causes, effects } from "./causality.js";
import { linkTo, putEvents, redrive } from "./copies.js";
import { called } from "./drawing.js";
import { copyable, copyButton, element, icon } from "./dom.js";
import { noun } from "./noun.js";
import { isOperator } from "./session.js";
import { settings } from "./settings.js";
import { duration, gap, moment } from "./words.js";

const DEEPEST = 200;
const TRACE_ID = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/;

/**
 * @param {string} id of the saga
 * @param {(key: string) => void} go Called for another event that is asked for.
 * @param {() => void} close
 */
export function payload(id, go, close) {
  let events = [], shown;
  const node = element("aside", { class: "payload", "aria-labelledby": "payload-title", hidden: "", keydown: travel });

  function travel(press) {
    if (press.key === "ArrowLeft" || press.key === "ArrowRight") {
      press.preventDefault();
      step(press.key === "ArrowLeft" ? -1 : 1);
    }
  }

  function step(by) {
    const next = events[events.indexOf(shown) + by];
    if (next) go(next.key);
  }

  /** @param {object} event  @param {object[]} all of its saga */
  function show(event, all) {
    const had = node.contains(document.activeElement) ? document.activeElement : undefined;
    shown = event;
    events = all;
    const at = events.indexOf(event);
    const turn = (name, by) =>
      element("button", {
        type: "button", "data-name": name, click: () => step(by), disabled: events[at + by] ? undefined : "",
      }, name);
    node.hidden = false;
    node.replaceChildren(
      element("header", {},
        icon(event.role, event.failure?.redrivenAt),
        element("h2", { id: "payload-title", tabindex: "-1" }, called(event)),
        element("div", { class: "turns" },
          turn("Previous", -1), element("span", { class: "quiet" }, `${at + 1} of ${events.length}`), turn("Next", 1),
          element("button", { class: "plain", type: "button", click: close }, "Close"))),
      ...(event.failure ? gaveUp(event) : []),
      element("dl", {}, ...facts(event, events, go).filter(([, value]) => value !== undefined)
        .flatMap(([name, ...values]) => [element("dt", {}, name), element("dd", {}, ...values)])),
      ...(event.role === "giveUp" ? [] : detail(id, event)),
      ...(TRACE_ID.test(event.traceId) ? trace(event.traceId) : []),
      element("h3", {}, "Logs"),
      copyable("Logs Insights query of this event", logsQuery(event.eventId)),
    );
    node.scrollTop = 0;
    if (!had) return;
    const again = [...node.querySelectorAll("[data-name]")].find(({ dataset }) => dataset.name === had.dataset.name);
    (again?.disabled === false ? again : node.querySelector("h2")).focus();
  }

  return {
    node, show,
    focus: () => node.querySelector("h2").focus(),
    get key() {
      return node.hidden ? undefined : shown.key;
    },
    hide: () => {
      node.hidden = true;
      node.replaceChildren();
    },
  };
}

function facts(event, events, go) {
  const toEvent = (other, ...more) =>
    element("span", { class: "to" },
      element("button", { class: "plain", type: "button", click: () => go(other.key) }, called(other)), ...more);
  return [
    ["Reason", event.reason],
    ["Service", event.lane],
    ["Source", event.source],
    ["Type", event.type],
    ["Time", `${moment(event.time)} (${event.time})`],
    ["Offset", `${duration(event.offsetMs)} after the start`],
    ["Gap", gap(event)],
    [event.role === "giveUp" ? "Request id" : "Event id", event.eventId],
    ["Cause", ...cause(event, events, toEvent)],
    ["Led to", ...effects(events, event).map((other) => toEvent(other))],
    ["Critical path", event.critical ? "yes: the saga waited for it" : undefined],
  ];
}

/** What led to an event. That nothing did is said of none but those of which the API knows it. */
function cause(event, events, toEvent) {
  const said = (other) => other.eventId === event.causationId || event.role === "giveUp";
  const known = causes(events, event).map((other) =>
    toEvent(other, said(other) ? undefined : element("span", { class: "quiet" }, "inferred, not said by the event")));
  if (event.causeMissing) return [...known, `not kept: ${event.causationId ?? "no event of this id is here"}`];
  if (known.length) return known;
  if (causeIds(event).length) return ["not among the events shown here"];
  return [events[0] === event ? `none: the ${noun} began with it` : "no event: it came from outside, as a request does"];
}

function gaveUp(event) {
  const { failure } = event;
  return [
    ...(failure.exception
      ? [element("pre", { class: "exception", tabindex: "0", "aria-label": "Exception" }, failure.exception)] : []),
    element("p", { class: "quiet" }, [
      failure.function && `Function ${failure.function}`, failure.attempts && `${failure.attempts} attempts`,
    ].filter(Boolean).join(", ")),
    failure.redrivenAt
      ? element("p", {}, `Sent again ${moment(failure.redrivenAt)}${failure.outcome ? `: ${failure.outcome}` : ""}`)
      : copyable("Once its cause is fixed, send it again with", redrive(event)),
  ];
}

function detail(id, event) {
  const text = pretty(event.detail);
  return [
    element("h3", {}, "Detail", element("span", { class: "copies" },
      copyButton(() => linkTo(id, event.address), "link to this event", "Link"),
      copyButton(text, "detail", "JSON"))),
    element("pre", { tabindex: "0", "aria-label": "Detail as JSON" }, text),
    // What is no JSON (a text in its place) no bus takes.
    ...(isOperator() && typeof event.detail === "object"
      ? [copyable("Command that would say it again, to every consumer, with what is kept of it", putEvents(event))] : []),
  ];
}

/** A query of CloudWatch Logs Insights: every line that names an id. Lines are JSON, and so write it as JSON does. */
export function logsQuery(id) {
  const inJson = JSON.stringify(id).slice(1, -1);
  const quoted = inJson.replace(/["\\]/g, "\\$&");
  return `fields @timestamp, @log, @message | filter @message like "${quoted}" | sort @timestamp asc`;
}

function trace(traceId) {
  const href = settings.traceUrl.replace("{traceId}", traceId);
  return [
    element("h3", {}, "Trace", element("a", { href, target: "_blank", rel: "noreferrer" }, "Open the trace")),
    copyable("Command for the trace", `aws xray batch-get-traces --trace-ids ${traceId}`),
  ];
}

/** Indented, unless it nests so deep that the indentation would outgrow what it indents. */
function pretty(detail) {
  const plain = JSON.stringify(detail);
  let depth = 0, deepest = 0;
  for (const [bracket] of plain.replace(/"(?:[^"\\]|\\.)*"/g, "").matchAll(/[[\]{}]/g)) {
    depth += "[{".includes(bracket) ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest > DEEPEST ? plain : JSON.stringify(detail, null, 2);
}
