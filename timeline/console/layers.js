/**
 * The order of a map's nodes in their columns, by the barycentre heuristic of Sugiyama et al. (1981): an edge that
 * passes a column has a place in it, so that no edge runs through a node.
 */

const SWEEPS = 8;
const key = ({ lane, type }) => `${lane}/${type}`;

/** From a node's key, as edges name it, to its event type. */
export function typesOf(nodes) {
  const types = new Map(nodes.map((node) => [key(node), node.type]));
  return (name) => types.get(name) ?? name;
}

/** Whether an edge leads from a column to a later one. */
export const edgeIsIn = (from, to) => to.column > from.column;

/**
 * @returns {{columns: {node?: object, column: number}[][], chains: {edge: object, items: object[]}[]}} in each column
 *   its nodes and the places of edges that pass; for each edge its ends and its places between them
 */
export function order(nodes, edges) {
  const last = Math.max(0, ...nodes.map(({ column }) => column));
  const columns = Array.from({ length: last + 1 }, () => []);
  const items = new Map();
  for (const node of [...nodes].sort((a, b) => b.count - a.count)) {
    const item = { node, column: node.column, before: [], after: [] };
    items.set(key(node), item);
    columns[node.column].push(item);
  }
  const chains = edges.filter(({ from, to }) => items.has(from) && items.has(to)).map((edge) => {
    const from = items.get(edge.from), to = items.get(edge.to), chain = [from];
    for (let column = from.column + 1; column < to.column; column++) {
      const place = { column, before: [], after: [] };
      columns[column].push(place);
      chain.push(place);
    }
    chain.push(to);
    if (edgeIsIn(from, to)) {
      chain.slice(1).forEach((item, index) => {
        chain[index].after.push(item);
        item.before.push(chain[index]);
      });
    }
    return { edge, items: chain };
  });
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forth = sweep % 2 === 0;
    for (const column of forth ? columns : columns.toReversed()) arrange(column, forth ? "before" : "after");
  }
  return { columns, chains };
}

/** Each goes to where its neighbours are on average, in their columns. */
function arrange(column, side) {
  column.forEach((item, index) => (item.rank ??= index));
  const wanted = new Map(column.map((item) => {
    const ranks = item[side].map(({ rank }) => rank ?? 0);
    return [item, ranks.length ? ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length : item.rank];
  }));
  column.sort((a, b) => wanted.get(a) - wanted.get(b));
  column.forEach((item, index) => (item.rank = (index + 0.5) / column.length));
}
