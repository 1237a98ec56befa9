/** Starts the console, and shows the view that the address names. */

import { FIND_FROM, listLink } from "./filters.js";
import { showFlow } from "./flow.js";
import { showList } from "./list.js";
import { Noun, noun, Nouns } from "./noun.js";
import { showSaga } from "./saga.js";
import { email, isOperator, isSignedIn, signOut, takeOver } from "./session.js";
import { settings } from "./settings.js";
import { showSignIn } from "./signin.js";
import { sagaLink } from "./words.js";

const NOTHING = { leave() {} };
const part = (id) => document.getElementById(id);
const root = part("main");
let view = NOTHING, listAddress = "#/", cameFrom;

/** `#/sagas/<id>` is a saga, `#/sagas/<id>/<event>` one event of it, `#/flow` what is usual; all else is the list. */
function route() {
  const [path, query] = location.hash.slice(1).split("?");
  const [, name, ...ids] = path.split("/");
  const [id, event] = ids.map(decoded);
  if (isSignedIn() && name === "sagas" && view.id === id && id) return view.select(event);
  view.leave();
  view = NOTHING;
  if (!isSignedIn()) return enter();
  greet(name);
  if (name === "sagas" && id) {
    view = { id, ...showSaga(root, id, event, listAddress) };
    cameFrom = id;
  } else if (name === "flow") {
    view = { leave: showFlow(root, new URLSearchParams(query)) };
  } else {
    listAddress = location.hash || "#/";
    view = { leave: showList(root, new URLSearchParams(query), cameFrom) };
    cameFrom = undefined;
  }
  return root.querySelector("h1").focus({ preventScroll: true });
}

function greet(name) {
  part("bar").hidden = false;
  part("who").textContent = email();
  part("to-flow").hidden = !isOperator();
  const here = name === "flow" ? "to-flow" : "to-list";
  for (const link of ["to-list", "to-flow"]) {
    if (link === here) part(link).setAttribute("aria-current", "page");
    else part(link).removeAttribute("aria-current");
  }
}

/** Asks for signing in, and then shows what was asked for. */
function enter(reason = "") {
  view.leave();
  view = NOTHING;
  part("bar").hidden = true;
  showSignIn(root, reason, route);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A text too short to be looked for can still be a whole id. */
function find(event) {
  event.preventDefault();
  const text = part("find").value.trim();
  if (text) location.hash = text.length < FIND_FROM ? sagaLink(text) : listLink({ find: text });
  part("find").value = "";
}

part("title").textContent = settings.title;
part("to-list").textContent = Nouns;
part("find-label").textContent = `Id of the ${noun}, the trace or an event`;
part("find").placeholder = `${Noun}, trace or event id`;
part("find").title = `The first ${FIND_FROM} characters are enough`;
part("skip").addEventListener("click", () => root.querySelector("h1").focus());
part("search").addEventListener("submit", find);
part("sign-out").addEventListener("click", () => {
  signOut();
  enter();
});
document.addEventListener("session-ended", ({ detail }) => {
  signOut();
  enter(detail ?? "Your session has ended. Sign in, and you are back where you were.");
});
window.addEventListener("hashchange", route);
if (!isSignedIn()) await takeOver();
route();
