/** What a saga is called on this bus: an order, a shipment. */

import { settings } from "./settings.js";

const plural = (word) =>
  /[^aeiou]y$/.test(word) ? `${word.slice(0, -1)}ies` : /(s|x|z|ch|sh)$/.test(word) ? `${word}es` : `${word}s`;

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

export const noun = settings.noun;
export const nouns = plural(noun);
export const Noun = capital(noun);
export const Nouns = capital(nouns);

/** "1 order", "2,000 orders" */
export const counted = (count) => `${count.toLocaleString("en")} ${count === 1 ? noun : nouns}`;
