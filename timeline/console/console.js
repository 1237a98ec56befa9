/** Starts the console, and shows the view that the address names. */

import { showList } from "./list.js";
import { showSaga } from "./saga.js";
import { email, isSignedIn, signOut } from "./session.js";
import { settings } from "./settings.js";
import { showSignIn } from "./signin.js";
import { sagaLink } from "./words.js";

const part = (id) => document.getElementById(id);
const root = part("main");
let leave = () => {}, listAddress = "#/", cameFrom;

/** `#/sagas/<id>` is a saga; anything else the list, with its query. */
function route() {
  leave();
  if (!isSignedIn()) return enter();
  part("bar").hidden = false;
  part("who").textContent = email();
  const [, encoded] = location.hash.match(/^#\/sagas\/(.+)$/s) ?? [];
  if (encoded) {
    cameFrom = decoded(encoded);
    part("order-id").value = "";
    leave = showSaga(root, cameFrom, listAddress);
  } else {
    listAddress = location.hash || "#/";
    leave = showList(root, new URLSearchParams(location.hash.split("?")[1]), cameFrom);
    cameFrom = undefined;
  }
}

/** Asks for signing in, and then shows what was asked for. */
function enter(reason = "") {
  leave();
  leave = () => {};
  part("bar").hidden = true;
  showSignIn(root, reason, arrive);
}

function arrive() {
  route();
  root.querySelector("h1").focus({ preventScroll: true });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

part("title").textContent = settings.title;
part("skip").addEventListener("click", () => root.querySelector("h1").focus());
part("sign-out").addEventListener("click", () => {
  signOut();
  enter();
});
part("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = part("order-id").value.trim();
  if (id) location.hash = sagaLink(id);
});
document.addEventListener("session-ended", () => {
  signOut();
  enter("Your session has ended. Sign in, and you are back where you were.");
});
window.addEventListener("hashchange", () => (isSignedIn() ? arrive() : route()));
route();
