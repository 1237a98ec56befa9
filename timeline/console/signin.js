/** The view of who is signed out. */

import { noun } from "./noun.js";
import { settings } from "./settings.js";
import { signIn, SignInFailed } from "./session.js";
import { element, say } from "./dom.js";

const HOST = new URL(settings.signInUrl, location.href).host;

/**
 * @param {string} reason Why it is shown, if the reader did not ask for it.
 * @param {() => void} done Called once somebody is signed in.
 */
export function showSignIn(root, reason, done) {
  const field = (id, label, attributes) => [
    element("label", { for: id }, label),
    element("input", { id, required: "", ...attributes }),
  ];
  const username = field("email", "E-mail", { type: "email", autocomplete: "username" });
  const password = field("password", "Password", { type: "password", autocomplete: "current-password" });
  const button = element("button", { class: "primary" }, "Sign in");
  const message = element("p", { class: "message", role: "alert" }, reason);

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    say(button, "Signing in");
    say(message, "");
    try {
      await signIn(username[1].value.trim(), password[1].value);
      done();
    } catch (error) {
      if (error instanceof SignInFailed) say(message, error.message);
      else if (error instanceof TypeError) say(message, `${HOST} does not answer. Try again in a moment.`);
      else throw error;
      password[1].select();
    } finally {
      button.disabled = false;
      say(button, "Sign in");
    }
  }

  document.title = `Sign in · ${settings.title}`;
  root.replaceChildren(
    element("form", { class: "sign-in", submit },
      element("img", { src: "console/icon.svg", alt: "", width: "40", height: "40" }),
      element("h1", { tabindex: "-1" }, settings.title),
      element("p", { class: "quiet" }, `What happened to every ${noun}, as it happens.`),
      message, ...username, ...password, button),
  );
  username[1].focus();
}
