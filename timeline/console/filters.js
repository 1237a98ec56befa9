/** The list's filters. They live in the address, so that a list can be kept, sent, and paged. */

import { ENDINGS, badge } from "./ending.js";
import { element } from "./dom.js";
import { Nouns } from "./noun.js";
import { timeRange } from "./range.js";
import { duration, milliseconds, moment, words } from "./words.js";

/** The API looks for beginnings of ids that have so many characters at least. */
export const FIND_FROM = 6;

/** What the API can be asked for, and how the reader is told of it. */
const NAMES = {
  status: (value) => `Status: ${value}`,
  ending: (value) => ENDINGS[value] ?? value,
  find: (value) => `Id begins with ${value}`,
  type: (value) => `Has ${words(value).toLowerCase()}`,
  lastType: (value) => `Last event: ${words(value).toLowerCase()}`,
  service: (value) => `Service: ${value}`,
  edge: (value) => value.split(">").map(words).join(" → "),
  variant: (value) => `Path ${value}`,
  from: (value) => `From ${moment(value)}`,
  to: (value) => `Before ${moment(value)}`,
  slowerThan: (value) => `Slower than ${duration(Number(value))}`,
  fasterThan: (value) => `Faster than ${duration(Number(value))}`,
};

/** @returns {Record<string, string>} those of an address's query that the API knows */
export const filtersOf = (query) =>
  Object.fromEntries(Object.keys(NAMES).map((name) => [name, query.get(name)]).filter(([, value]) => value));

/** The address of a list. Filters that are undefined or empty are left out. */
export function listLink(filters) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== undefined && value !== ""));
  return query.size ? `#/?${query}` : "#/";
}

/** The endings, to choose one by a click. */
export function endingFilter(filters) {
  const { ending, status, cursor, ...others } = filters;
  const choice = (value, ...children) =>
    element("a", {
      href: listLink({ ...others, ending: value }),
      "aria-current": value === ending && !status ? "page" : undefined,
    }, ...children);
  return element("nav", { class: "endings", "aria-label": "Ending" },
    choice(undefined, "All"), ...Object.keys(ENDINGS).map((value) => choice(value, badge(value))));
}

/** What is filtered by, but for the ending, each with a way to leave it out. */
export function chosenFilters({ ending, ...filters }) {
  const chosen = Object.entries(filters).map(([name, value]) => {
    const text = readable(name, value);
    return element("li", {}, text,
      element("a", { href: listLink({ ending, ...filters, [name]: undefined }), "aria-label": `Without: ${text}` }, "×"));
  });
  return chosen.length ? element("ul", { class: "chosen", "aria-label": "Filters" }, ...chosen) : undefined;
}

/** An address may hold anything, also what is no time. */
function readable(name, value) {
  try {
    return NAMES[name](value);
  } catch {
    return `${name}: ${value}`;
  }
}

/** The filters that are typed. */
export function moreFilters(filters) {
  const field = (name, label, attributes) => {
    const input = element("input", { id: `filter-${name}`, autocomplete: "off", spellcheck: "false", ...attributes });
    return { input, node: element("div", {}, element("label", { for: input.id }, label), input) };
  };
  const type = field("type", "Event type", { value: filters.type, placeholder: "PaymentFailed" });
  const service = field("service", "Service", { value: filters.service, placeholder: "payment" });
  const slower = field("slower", "Slower than", {
    value: filters.slowerThan && duration(Number(filters.slowerThan)), placeholder: "2 s",
    input: () => slower.input.setCustomValidity(""),
  });
  const range = timeRange(filters, "Started");

  function submit(event) {
    event.preventDefault();
    const slowerThan = slower.input.value.trim() ? milliseconds(slower.input.value) : undefined;
    if (Number.isNaN(slowerThan)) {
      slower.input.setCustomValidity("A time such as 300 ms, 2 s or 1.5 min");
      slower.input.reportValidity();
      return;
    }
    location.hash = listLink({
      ...filters, ...range.read(), slowerThan, type: type.input.value.trim(), service: service.input.value.trim(),
    });
  }

  return element("details", { class: "more" },
    element("summary", {}, "More filters"),
    element("form", { submit, "aria-label": `Which ${Nouns.toLowerCase()}` },
      type.node, service.node, slower.node, range.node, element("button", { class: "primary" }, "Apply")));
}
