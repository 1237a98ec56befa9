/** How types, times and addresses are put into words. */

/** "PaymentSucceeded" as "Payment succeeded". */
export function words(type) {
  const spaced = type.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${Number((ms / 1_000).toFixed(ms < 10_000 ? 2 : 1))} s`;
  let seconds = Math.round(ms / 1_000);
  const parts = UNITS.map(([unit, size]) => {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    return [count, unit];
  });
  const first = parts.findIndex(([count]) => count > 0);
  const largest = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return largest.flat().join(" ");
}

const MS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** "300 ms", "2 s", "1.5 min" in ms; a bare number is seconds. NaN where it is no such thing. */
export function milliseconds(text) {
  const [, number, unit = "s"] = text.trim().match(/^(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?$/) ?? [];
  return Math.round(Number(number) * MS[unit]);
}

/** How long a saga took, or takes already, or has not been heard of: by the API's clock, not by this machine's. */
export function howLong({ status, durationMs, started, lastEvent }) {
  if (status === "done") return duration(durationMs);
  const inSeconds = (ms) => duration(Math.ceil(ms / 1_000) * 1_000);
  if (status === "open") return `${inSeconds(durationMs)} so far`;
  return `silent for ${inSeconds(Date.parse(started) + durationMs - Date.parse(lastEvent))}`;
}

/** "1 event"; "at least 500 events" where the summary was made of only those. */
export const eventCount = ({ eventCount, cut }) =>
  `${cut ? "at least " : ""}${eventCount} ${eventCount === 1 ? "event" : "events"}`;

/** How long after its cause an event occurred, and how long that usually takes; undefined if the cause is not known. */
export function gap({ gapMs, usualMs, inferred }) {
  if (gapMs === undefined) return undefined;
  const cause = inferred ? "the one before" : "its cause";
  // Services have clocks of their own, which need not agree.
  if (gapMs < 0) return `${duration(-gapMs)} before ${cause}`;
  return usualMs === undefined ? `${duration(gapMs)} after ${cause}` : `${duration(gapMs)}, usually ${duration(usualMs)}`;
}

/** Whether a gap is so much longer than usual that a reader should look at it. */
export const isSlow = ({ gapMs, usualMs }) => usualMs !== undefined && gapMs > 1_000 && gapMs > 5 * usualMs;

/** @param {number} share 0 to 1  @returns {string} "92.1 %" */
export function percent(share) {
  const hundredths = share * 100;
  if (hundredths > 0 && hundredths < 0.1) return "under 0.1 %";
  return `${Number(hundredths.toFixed(1))} %`;
}

/** @returns {string} "2,000" */
export const number = (count) => count.toLocaleString("en");

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

/** "3 minutes ago". What this machine's clock takes for the future is "just now". */
export function ago(iso) {
  const seconds = (Date.now() - Date.parse(iso)) / 1_000;
  if (seconds < 5) return "just now";
  const [unit, size] = STEPS.find(([, size]) => seconds >= size);
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}

const ABSOLUTE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** "21 Nov 2025, 02:14:05 CET", in the reader's time zone. */
export const moment = (iso) => ABSOLUTE.format(new Date(iso));

/** "02:14:05" */
export const clock = (date) => CLOCK.format(date);

const encoded = (text) => encodeURIComponent(text.toWellFormed());

/** The address of a saga's view, and of one of its events; an id may hold anything. */
export const sagaLink = (id, event) => `#/sagas/${encoded(id)}${event === undefined ? "" : `/${encoded(event)}`}`;
