/** How types, times and addresses are put into words. */

/** "PaymentSucceeded" as "Payment succeeded". */
export function words(type) {
  const spaced = type.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** "eventflow.payment" as "payment". */
export const service = (source) => source.split(".").at(-1) || source;

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

/** How long a saga took, or takes already, or has not been heard of: by the API's clock, not by this machine's. */
export function howLong({ status, durationMs, started, lastEvent }) {
  if (status === "done") return duration(durationMs);
  const inSeconds = (ms) => duration(Math.ceil(ms / 1_000) * 1_000);
  if (status === "open") return `${inSeconds(durationMs)} so far`;
  return `silent for ${inSeconds(Date.parse(started) + durationMs - Date.parse(lastEvent))}`;
}

/** @returns {string} "1 event" */
export const eventCount = ({ eventCount }) => (eventCount === 1 ? "1 event" : `${eventCount} events`);

/** How long after its cause an event occurred; undefined where the cause is not known. */
export function gap({ gapMs }) {
  if (gapMs === undefined) return undefined;
  // Services have clocks of their own, which need not agree.
  return gapMs < 0 ? `${duration(-gapMs)} before its cause` : `${duration(gapMs)} after its cause`;
}

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

/** The address of a saga's view; an id may hold anything. */
export const sagaLink = (id) => `#/sagas/${encodeURIComponent(id.toWellFormed())}`;
