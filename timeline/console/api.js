/** The timeline API, as the signed-in person sees it. */

import { idToken, refresh, SessionEnded } from "./session.js";

/** There is no such saga, or it is someone else's. */
export class NotFound extends Error {}

const PAGE = 50;
const MOST_REQUESTS = 5;

/**
 * A page of sagas, newest first. The API looks at so many sagas a request, and may find few of them wanted, or none:
 * it is asked to go on until the page is full or a few requests were made. The reader goes on from there.
 * @param {URLSearchParams} query filters, and cursor where it is not the newest page
 * @returns {Promise<{items: object[], nextCursor?: string, read: number}>} read: so many sagas were looked at
 */
export async function sagas(query, signal) {
  const items = [], asked = new URLSearchParams(query);
  let read = 0;
  for (let left = MOST_REQUESTS; ; left--) {
    asked.set("limit", PAGE - items.length);
    const page = await get(`timelines?${asked}`, signal);
    items.push(...page.items);
    read += page.read ?? page.items.length;
    if (!page.nextCursor || items.length >= PAGE || left === 1) return { items, nextCursor: page.nextCursor, read };
    asked.set("cursor", page.nextCursor);
  }
}

/**
 * One saga with its events, in order of time. Each has a `key` of its own, and an `address`, which is its id unless a
 * foreign service copied the metadata of what it reacts to, and with it the id. Raises NotFound.
 */
export async function saga(id, signal) {
  // A browser takes these two for steps of a path, however they are written.
  if (id === "." || id === "..") throw new NotFound();
  const found = await get(`timelines/${encodeURIComponent(id.toWellFormed())}`, signal);
  const times = new Map();
  for (const { eventId } of found.events) times.set(eventId, (times.get(eventId) ?? 0) + 1);
  const named = (event) => {
    const key = JSON.stringify([event.eventId, event.time, event.source, event.type]);
    return { ...event, key, address: times.get(event.eventId) > 1 ? key : event.eventId };
  };
  return { ...found, events: found.events.map(named) };
}

/**
 * What is usual in a window of time, and how it compares with another. Operators only.
 * @param {URLSearchParams} query from, to, againstFrom, againstTo
 */
export const flow = (query, signal) => get(`flow?${query}`, signal);

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
