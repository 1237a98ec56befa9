/** What the events of one saga have to do with each other. */

/** The sources, in the order in which they first spoke: a lane each. */
export const lanes = (events) => [...new Set(events.map((event) => event.source))];

/** Every event whose cause is here too, with its cause. */
export function edges(events) {
  const byId = new Map(events.toReversed().map((event) => [event.eventId, event]));
  return events
    .filter((event) => byId.has(event.causationId) && event.causationId !== event.eventId)
    .map((effect) => ({ effect, cause: byId.get(effect.causationId) }))
    .map((edge) => ({ ...edge, critical: Boolean(edge.cause.critical && edge.effect.critical) }))
    .sort((a, b) => a.critical - b.critical);
}

/** The events that this one led to. */
export const effects = (events, cause) => events.filter((event) => event.causationId === cause.eventId);

const kind = ({ cause, effect, critical }) =>
  critical ? "critical" : [effect.role, cause.role].includes("compensation") ? "compensation" : "plain";

/** How an edge is drawn: a class of the stylesheet. */
export const edgeClass = (edge) => `edge ${kind(edge)}`;
