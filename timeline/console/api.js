/** The timeline API, as the signed-in person sees it. */

import { idToken, refresh, SessionEnded } from "./session.js";

/** There is no such saga, or it is someone else's. */
export class NotFound extends Error {}

const PAGE = 50;
const MOST_REQUESTS = 5;

/**
 * A page of sagas, newest first. The API looks at so many sagas a request, and may find few of them wanted, or none:
 * it is asked to go on until the page is full or a few requests were made. The reader goes on from there.
 * @param {URLSearchParams} query status and cursor, where there are any
 * @returns {Promise<{items: object[], nextCursor?: string}>}
 */
export async function sagas(query, signal) {
  const items = [], asked = new URLSearchParams(query);
  for (let left = MOST_REQUESTS; ; left--) {
    asked.set("limit", PAGE - items.length);
    const page = await get(`timelines?${asked}`, signal);
    items.push(...page.items);
    if (!page.nextCursor || items.length >= PAGE || left === 1) return { items, nextCursor: page.nextCursor };
    asked.set("cursor", page.nextCursor);
  }
}

/** One saga with its events, in order of time. Raises NotFound. */
export async function saga(id, signal) {
  // A browser takes these two for steps of a path, however they are written.
  if (id === "." || id === "..") throw new NotFound();
  const found = await get(`timelines/${encodeURIComponent(id.toWellFormed())}`, signal);
  // A foreign service may copy the metadata of what it reacts to, and with it the id.
  const keyed = (event) => ({ ...event, key: JSON.stringify([event.eventId, event.time, event.source, event.type]) });
  return { ...found, events: found.events.map(keyed) };
}

async function get(path, signal) {
  let response = await ask(path, signal);
  if (response.status === 401) {
    await refresh();
    response = await ask(path, signal);
  }
  if (response.status === 401) throw new SessionEnded();
  if (response.status === 404) throw new NotFound();
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? problem.message ?? `status ${response.status}`);
}

const ask = (path, signal) => fetch(path, { signal, cache: "no-store", headers: { Authorization: idToken() ?? "" } });
