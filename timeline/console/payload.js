/** One event in full, in a dialog, with the ways on to its trace and its logs. */

import { effects } from "./causality.js";
import { copyable, copyButton, element, icon } from "./dom.js";
import { settings } from "./settings.js";
import { duration, gap, moment, words } from "./words.js";

const DEEPEST = 200;
const TRACE_ID = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/;

/** @param {(key: string) => HTMLElement} home Where the focus belongs once the dialog is closed. */
export function payload(home) {
  let shown;
  const node = element("dialog", {
    class: "payload",
    "aria-labelledby": "payload-title",
    close: () => home(shown.key)?.focus(),
    // The dialog's own surface is its children; what is hit beside them is the backdrop.
    click: (event) => event.target === node && node.close(),
  });

  /** @param {object} event  @param {object[]} events all of its saga */
  function open(event, events) {
    shown = event;
    const toEvent = (other) =>
      element("button", { class: "plain", type: "button", click: () => open(other, events) }, words(other.type));
    const cause = events.find((other) => other.eventId === event.causationId);
    const led = effects(events, event);
    const facts = [
      ["Source", event.source],
      ["Type", event.type],
      ["Time", `${moment(event.time)} (${event.time})`],
      ["Offset", `${duration(event.offsetMs)} after the start`],
      ["Gap", gap(event)],
      ["Event id", event.eventId],
      ["Cause", cause ? toEvent(cause) : (event.causationId ?? "none: it began the saga")],
      ["Led to", ...led.map(toEvent)],
      ["Critical path", event.critical ? "yes: the saga waited for it" : undefined],
    ];
    const json = pretty(event.detail);
    node.replaceChildren(
      element("div", { class: "sheet" },
        element("header", {},
          icon(event.role),
          element("h2", { id: "payload-title", tabindex: "-1" }, words(event.type)),
          element("button", { class: "plain", type: "button", click: () => node.close() }, "Close")),
        element("dl", {}, ...facts.filter(([, value]) => value !== undefined).flatMap(([name, ...values]) =>
          [element("dt", {}, name), element("dd", {}, ...values)])),
        element("h3", {}, "Detail", copyButton(json, "detail")),
        element("pre", { tabindex: "0", "aria-label": "Detail as JSON" }, json),
        ...(TRACE_ID.test(event.traceId) ? trace(event.traceId) : []),
        element("h3", {}, "Logs"),
        copyable("Logs Insights query of this event", logsQuery(event.eventId))),
    );
    if (!node.open) node.showModal();
    node.querySelector("h2").focus();
    node.firstChild.scrollTop = 0;
  }

  return { node, open };
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
