/**
 * Who is signed in. The tokens live in the sessionStorage of this console's tabs and nowhere else, so that they go with
 * the browser. A new tab asks the others for them, over a channel that no other origin hears.
 */

import { settings } from "./settings.js";

const KEY = "eventflow.session";
const HANDOVER_MS = 400;
const OPERATORS = "operators";

/** Signing in did not work; the message says in words what to do. */
export class SignInFailed extends Error {}

/** The session is over, for good: only signing in again helps. */
export class SessionEnded extends Error {}

const TO_DO = {
  NEW_PASSWORD_REQUIRED: "This account still has its temporary password. Set a permanent one first, then sign in here.",
  PasswordResetRequiredException: "This account's password must be reset first. Do that, then sign in here.",
  UserNotConfirmedException: "This account is not confirmed yet. Confirm it first, then sign in here.",
  UserNotFoundException: "Incorrect username or password.",
};

const stored = () => JSON.parse(sessionStorage.getItem(KEY));
const keep = (session) => sessionStorage.setItem(KEY, JSON.stringify(session));

export const isSignedIn = () => stored() !== null;
export const idToken = () => stored()?.idToken;

// Several consoles may share an origin, each with a client of its own.
const others = new BroadcastChannel(`${KEY}.${settings.userPoolClientId}`);
others.addEventListener("message", ({ data }) => {
  if (data.asks && stored()) others.postMessage({ answers: data.asks, session: stored() });
  if (data.signedOut && data.signedOut === stored()?.refreshToken) {
    sessionStorage.removeItem(KEY);
    document.dispatchEvent(new CustomEvent("session-ended", { detail: "You have signed out in another tab." }));
  }
});

/** Takes over the session of another tab, if one is open and signed in. @returns {Promise<boolean>} whether one was */
export async function takeOver() {
  const asks = `${Date.now()} ${Math.random()}`;
  const { promise, resolve } = Promise.withResolvers();
  const hear = ({ data }) => data.answers === asks && resolve(data.session);
  others.addEventListener("message", hear);
  others.postMessage({ asks });
  const session = await Promise.race([promise, new Promise((late) => setTimeout(late, HANDOVER_MS))]);
  others.removeEventListener("message", hear);
  if (session) keep(session);
  return Boolean(session);
}

function claims() {
  const base64 = idToken().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))));
}

/** The name by which the signed-in person knows the account. */
export const email = () => claims().email ?? claims()["cognito:username"] ?? "";

/** Whether to offer what is for operators only. The API decides by itself what it answers. */
export const isOperator = () => Boolean(claims()["cognito:groups"]?.includes(OPERATORS));

/** Raises SignInFailed, or TypeError where nobody answers. */
export async function signIn(username, password) {
  const answer = await initiateAuth("USER_PASSWORD_AUTH", { USERNAME: username, PASSWORD: password });
  const challenge = answer.ChallengeName;
  if (challenge) {
    throw new SignInFailed(
      TO_DO[challenge] ?? `This account asks for a second factor (${challenge}), which this page does not support.`,
    );
  }
  keep({ idToken: answer.AuthenticationResult.IdToken, refreshToken: answer.AuthenticationResult.RefreshToken });
}

/** A new token for the one that expired. Raises SessionEnded, or TypeError where nobody answers. */
export async function refresh() {
  const session = stored();
  if (!session?.refreshToken) throw new SessionEnded();
  try {
    const answer = await initiateAuth("REFRESH_TOKEN_AUTH", { REFRESH_TOKEN: session.refreshToken });
    keep({ ...session, idToken: answer.AuthenticationResult.IdToken });
  } catch (error) {
    throw error instanceof SignInFailed ? new SessionEnded() : error;
  }
}

/** Forgets the session at once, in every tab that shares it; Cognito is told too, but nobody waits for it. */
export function signOut() {
  const session = stored();
  sessionStorage.removeItem(KEY);
  if (!session) return;
  others.postMessage({ signedOut: session.refreshToken });
  cognito("RevokeToken", { ClientId: settings.userPoolClientId, Token: session.refreshToken }).catch(() => {});
}

const initiateAuth = (flow, parameters) =>
  cognito("InitiateAuth", { AuthFlow: flow, ClientId: settings.userPoolClientId, AuthParameters: parameters });

async function cognito(action, body) {
  const response = await fetch(settings.signInUrl, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
    },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  // Being throttled or broken says nothing about the password, or about the session.
  if (response.status !== 400 || answer.__type?.includes("TooManyRequests")) throw new TypeError(answer.message);
  const reason = answer.__type?.split("#").at(-1);
  throw new SignInFailed(TO_DO[reason] ?? answer.message ?? reason ?? "Signing in failed.");
}
