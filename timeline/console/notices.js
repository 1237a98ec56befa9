/** What a reader must know of a saga beside its events: what gave up on one, what it waits for, what is not here. */

import { couldNot, redrive } from "./copies.js";
import { copyButton, element } from "./dom.js";
import { noun } from "./noun.js";
import { isOperator } from "./session.js";
import { ago, duration, words } from "./words.js";

/** @param {(key: string) => void} open Called for the failure that is chosen. */
export function notices(saga, open) {
  const giveUps = saga.events.filter(({ role }) => role === "giveUp");
  return [
    ...giveUps.map((event) => gaveUp(event, open)),
    saga.waitsFor?.length ? waits(saga.waitsFor) : undefined,
    saga.cut ? note(`This ${noun} has more events than its summary is made of: what is said of it here may miss some.`) : undefined,
    saga.truncated ? note(`This ${noun} has more events than are shown here: these are the newest.`) : undefined,
  ].filter(Boolean);
}

const note = (text) => element("p", { class: "note" }, text);

function gaveUp(event, open) {
  const { redrivenAt, outcome } = event.failure;
  const more = redrivenAt
    ? [`Sent again ${ago(redrivenAt)}${outcome ? `: ${outcome}` : ""}.`]
    : isOperator()
      ? ["Once its cause is fixed: ", element("code", {}, redrive(event)), copyButton(redrive(event), "redrive command")]
      : [];
  return element("div", { class: redrivenAt ? "gave-up redriven" : "gave-up" },
    element("p", {},
      element("button", { type: "button", class: "plain", click: () => open(event.key) },
        `${redrivenAt ? "✓" : "✗"} ${couldNot(event)}`)),
    element("p", { class: "quiet" }, ...more));
}

const waits = (usual) =>
  element("p", { class: "waits" }, element("span", { class: "quiet" }, "Usually next: "),
    ...usual.flatMap(({ lane, type, usualMs }, index) => [
      index ? ", " : "",
      element("strong", {}, lane),
      ` (${duration(usualMs)})`,
      element("span", { class: "unseen" }, `, with ${words(type).toLowerCase()}`),
    ]));

/** Where to look for what never becomes an event of a timeline. */
export const elsewhere = () =>
  element("p", { class: "elsewhere quiet" },
    "Not on any timeline: checkouts, which SQS itself sets aside, and events that could not be delivered. ",
    element("code", {}, "make failed"), " lists them.");
