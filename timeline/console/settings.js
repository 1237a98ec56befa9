/** What this deployment of the page is told: {userPoolClientId, signInUrl, traceUrl, title, noun}. `title` is the bus. */
export const settings = await (await fetch("console/config.json")).json();
