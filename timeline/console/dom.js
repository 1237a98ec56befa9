/** Builds the page node by node. Nothing is ever parsed as markup: whatever an event holds stays text. */

/** An HTML element. Attributes that are functions listen to the event of that name; undefined ones are left out. */
export const element = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const shape = (tag, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function filled(node, attributes = {}, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  const present = children.filter((child) => child !== undefined);
  node.append(...present.map((child) => (typeof child === "string" ? readable(child) : child)));
  return node;
}

/** Marks that turn the direction of writing are shown, not obeyed: they could make a text read as what it is not. */
const readable = (text) =>
  text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16)}`);

/** Sets a text only where it differs, so that a selection in it survives. */
export function say(node, text) {
  if (node.textContent !== readable(text)) node.textContent = readable(text);
}

/** Says something to anyone who listens instead of looking. */
export const announce = (text) => say(document.getElementById("announcer"), text);

/**
 * @param {string | () => string} text
 * @param {string} what The text's name, for anyone who cannot see what stands beside the button.
 * @param {string} [label] what the button says
 */
export function copyButton(text, what, label = "Copy") {
  const button = element("button", { class: "plain copy", type: "button", "aria-label": `Copy ${what}` }, label);
  button.addEventListener("click", async () => {
    const copying = navigator.clipboard?.writeText(typeof text === "string" ? text : text());
    const copied = await copying?.then(() => true, () => false);
    say(button, copied ? "Copied" : "Not allowed");
    announce(copied ? `Copied ${what}` : "This browser does not let the page copy");
    setTimeout(() => say(button, label), 1500);
  });
  return button;
}

/** A text to be taken elsewhere: a command, a query. */
export const copyable = (what, text) =>
  element("div", { class: "copyable" },
    element("span", { class: "quiet" }, what), copyButton(text, what), element("code", {}, text));

const SHAPES = {
  step: { d: "M10 4a6 6 0 1 0 0 12a6 6 0 1 0 0-12Z" },
  outcome: { d: "M10 2.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15ZM10 7.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 1 0 0-5Z" },
  failure: { d: "M5 5L15 15M15 5L5 15" },
  compensation: { d: "M10 2.5L17.5 10L10 17.5L2.5 10Z" },
  giveUp: { d: "M6.5 2.5H13.5L17.5 6.5V13.5L13.5 17.5H6.5L2.5 13.5V6.5ZM7 7L13 13M13 7L7 13" },
  redriven: { d: "M6.5 2.5H13.5L17.5 6.5V13.5L13.5 17.5H6.5L2.5 13.5V6.5ZM6 10.5L9 13.5L14 7" },
};

/** What an event's role looks like. Each has a shape of its own: not everyone can tell colours apart. */
export const icon = (role, redriven) =>
  shape("svg", { class: `icon ${role}${redriven ? " redriven" : ""}`, viewBox: "0 0 20 20", "aria-hidden": "true" },
    shape("path", SHAPES[redriven ? "redriven" : role] ?? SHAPES.step));
