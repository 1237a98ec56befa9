/** The distinct paths that sagas take, the most common first. */

import { element } from "./dom.js";
import { badge } from "./ending.js";
import { counted, Nouns } from "./noun.js";
import { table } from "./table.js";
import { duration, number, percent, sagaLink, words } from "./words.js";

const EXAMPLE_LETTERS = 8;

/** @param {{variants: object[], otherVariants?: number}} window  @param {(filters) => string} inWindow a list's address */
export function variantTable({ variants, otherVariants }, inWindow) {
  const longest = (variant, name) =>
    element("a", { href: inWindow({ variant: variant.key, slowerThan: String(variant[name]) }) }, duration(variant[name]));
  const rows = variants.map((variant) => [
    [badge(variant.ending), path(variant.steps)],
    [bar(variant.share), percent(variant.share)],
    element("a", { href: inWindow({ variant: variant.key }) }, number(variant.count)),
    ...["p50", "p95", "p99"].map((name) => (variant[name] === undefined ? "–" : longest(variant, name))),
    variant.slow ? element("a", { href: inWindow({ variant: variant.key, slowerThan: String(variant.p99) }) }, number(variant.slow)) : "0",
    variant.examples.flatMap((id) => [
      element("a", { class: "id", href: sagaLink(id), title: id }, id.slice(0, EXAMPLE_LETTERS)), " ",
    ]),
  ]);
  return element("div", { class: "variants" },
    table("Paths", ["Path", "Share", Nouns, "p50", "p95", "p99", "Slower than its p99", "Examples"], rows),
    ...(otherVariants ? [element("p", { class: "quiet" }, `${counted(otherVariants)} took rarer paths, not listed here.`)] : []));
}

/** A path's events, in the order in which one led to another. */
export const path = (steps) =>
  element("span", { class: "path" }, ...steps.flatMap(({ type }, index) => [
    index ? ", " : "",
    element("span", { class: /Failed$/.test(type) ? "bad" : undefined }, index ? words(type).toLowerCase() : words(type)),
  ]));

/** @param {number} share 0 to 1 */
export function bar(share, kind = "now") {
  const filled = element("span", { class: kind });
  filled.style.width = `${Math.max(1, share * 100)}%`;
  return element("span", { class: "bar", "aria-hidden": "true" }, filled);
}
