/** What can be taken from here to elsewhere: an incident's log, a chat, a shell. */

import { called } from "./drawing.js";
import { ENDINGS } from "./ending.js";
import { Noun } from "./noun.js";
import { settings } from "./settings.js";
import { duration, eventCount, sagaLink, words } from "./words.js";

/** The whole address of a saga, or of one of its events. */
export const linkTo = (id, event) => new URL(sagaLink(id, event), location.href).href;

export const json = ({ events, ...saga }) =>
  JSON.stringify({ ...saga, events: events.map(({ key, address, ...event }) => event) }, null, 2);

/** A saga in a few sentences, times in UTC. */
export function paragraph(saga) {
  const { id, ending, outcome, lastType, reason, started, durationMs, events } = saga;
  const what = words(outcome ?? lastType).toLowerCase();
  const giveUps = events.filter(({ role }) => role === "giveUp").map((event) =>
    `${couldNot(event)}${event.failure.redrivenAt ? ` (sent again ${utc(event.failure.redrivenAt)})` : ""}.`);
  const story = events.filter(({ role }) => role !== "giveUp").map((event) =>
    `${called(event)} (${event.lane}, +${duration(event.offsetMs)}${event.reason ? `: ${event.reason}` : ""})`);
  return [
    `${Noun} ${id}, started ${utc(started)}: ${ENDINGS[ending].toLowerCase()} (${what}) after ${duration(durationMs)}.`,
    ...(reason ? [`Reason: ${reason}.`] : []),
    ...giveUps,
    `${eventCount(saga)}: ${story.join(", ")}.`,
    linkTo(id),
  ].join(" ");
}

/** "payment could not handle OrderCreated: ValidationError: no amount" */
export const couldNot = ({ lane, type, failure }) =>
  `${failure?.service ?? lane} could not handle ${type}${failure?.exception ? `: ${failure.exception.split("\n")[0]}` : ""}`;

export const redrive = ({ lane, failure }) => `make redrive SERVICE=${failure?.service ?? lane}`;

/** The command that puts an event on the bus again, with what the timeline has kept of it. */
export function putEvents({ source, type, detail }) {
  const entry = {
    EventBusName: settings.title, Source: source, DetailType: type, Detail: JSON.stringify(detail),
  };
  return `aws events put-events --entries ${quoted(JSON.stringify([entry]))}`;
}

/** As a shell takes it for one word, whatever is in it. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const utc = (iso) => `${iso.slice(0, 19).replace("T", " ")} UTC`;
