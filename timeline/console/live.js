/** Keeps a view up to date, and says quietly how fresh it is. */

import { NotFound } from "./api.js";
import { element, say } from "./dom.js";
import { SessionEnded } from "./session.js";
import { clock } from "./words.js";

const PATIENCE_MS = 15_000;
const SLOWEST_MS = 30_000;

/**
 * Asks at once, and again and again while the tab is visible; ever more slowly while no answer comes.
 * @param {(signal: AbortSignal) => Promise} ask
 * @param {(answer) => number} answered Shows it, and returns after how many ms to ask again.
 * @param {() => void} [missing] What was asked for is not there (yet).
 * @returns {{node: HTMLElement, stop: () => void}} where the freshness is said; how to end it
 */
export function live(ask, answered, missing) {
  const node = element("p", { class: "freshness", role: "status" });
  const stopped = new AbortController();
  let timer, failures = 0, asking = false, fresh;

  async function turn() {
    if (document.hidden || asking) return;
    asking = true;
    clearTimeout(timer);
    const [wait, error] = await outcomeOf(
      ask(AbortSignal.any([stopped.signal, AbortSignal.timeout(PATIENCE_MS)])).then(show),
    );
    asking = false;
    if (stopped.signal.aborted) return;
    if (error instanceof SessionEnded) {
      document.dispatchEvent(new Event("session-ended"));
      return;
    }
    failures = error ? failures + 1 : 0;
    timer = setTimeout(turn, error ? Math.min(SLOWEST_MS, 1_000 * 2 ** failures) : wait);
    if (missing && error instanceof NotFound) missing();
    else if (error) complain(error);
  }

  function show(answer) {
    stopped.signal.throwIfAborted();
    fresh = new Date();
    delete node.dataset.stale;
    say(node, "Live");
    return answered(answer);
  }

  function complain(error) {
    const reason = error instanceof TypeError || error.name === "TimeoutError" ? "" : ` (${error.message})`;
    console.error(error);
    node.dataset.stale = "";
    say(node, `${fresh ? `No answer since ${clock(fresh)}` : "No answer yet"}${reason}. Trying again.`);
  }

  for (const event of ["visibilitychange", "online"]) window.addEventListener(event, turn, { signal: stopped.signal });
  turn();
  return { node, stop: () => (stopped.abort(), clearTimeout(timer)) };
}

const outcomeOf = (promise) => promise.then((answer) => [answer], (error) => [undefined, error]);
