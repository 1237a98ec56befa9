/** What the events of one saga have to do with each other. */

/** The lanes, in the order in which they first spoke. */
export const lanes = (events) => [...new Set(events.map((event) => event.lane))];

/** The ids of those that led to an event, as the API says: said by it, or inferred. */
export const causeIds = (event) => event.causes ?? [];

/** Of each event of `events` those in it that led to it. */
export function edges(events) {
  const byId = new Map(events.toReversed().map((event) => [event.eventId, event]));
  return events
    .flatMap((effect) => causeIds(effect).map((id) => ({ effect, cause: byId.get(id) })))
    .filter(({ cause, effect }) => cause && cause !== effect)
    .map((edge) => ({ ...edge, critical: Boolean(edge.cause.critical && edge.effect.critical) }))
    .sort((a, b) => a.critical - b.critical);
}

export const causes = (events, effect) =>
  causeIds(effect).map((id) => events.find((event) => event.eventId === id)).filter((event) => event && event !== effect);

/** The events that this one led to. */
export const effects = (events, cause) =>
  events.filter((event) => event !== cause && causeIds(event).includes(cause.eventId));

function kind({ cause, effect, critical }) {
  if (effect.role === "giveUp") return "giveUp";
  if (effect.inferred) return "then";
  if (critical) return "critical";
  return [effect.role, cause.role].includes("compensation") ? "compensation" : "plain";
}

/** How an edge is drawn: a class of the stylesheet. */
export const edgeClass = (edge) => `edge ${kind(edge)}`;
