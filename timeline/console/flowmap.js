/** The map of a flow: event types as nodes in columns, what led to what as edges between them. */

import { element, icon, shape } from "./dom.js";
import { edgeIsIn, order, typesOf } from "./layers.js";
import { counted } from "./noun.js";
import { behind } from "./table.js";
import { duration, number, percent, words } from "./words.js";

const NODE_W = 172, NODE_H = 56, ROW = 88, PASS = 44, MIN_GAP = 128, TOP = 12, LETTERS = 21, LABEL_H = 32, LABEL_W = 108;

/** @param {(filters) => string} inWindow the address of a list of this window's sagas */
export function flowMap(window, inWindow) {
  const node = element("div", { class: "map scroll", role: "group", "aria-label": "Map of event types", tabindex: "0" });
  let width;
  new ResizeObserver(() => {
    if (node.clientWidth && node.clientWidth !== width) node.replaceChildren(draw(window, inWindow, (width = node.clientWidth)));
  }).observe(node);
  return element("div", {}, node, asTable(window, inWindow));
}

function draw({ nodes, edges }, inWindow, available) {
  const { columns, chains } = order(nodes, edges);
  const gap = Math.max(MIN_GAP, Math.min(240, (available - columns.length * NODE_W - 2) / Math.max(1, columns.length - 1)));
  const width = columns.length * NODE_W + (columns.length - 1) * gap + 2;
  const size = (item) => (item.node ? ROW : PASS);
  const heights = columns.map((column) => column.reduce((sum, item) => sum + size(item), 0));
  const height = Math.max(...heights) + 2 * TOP;
  columns.forEach((column, index) => {
    let y = TOP + (height - 2 * TOP - heights[index]) / 2;
    for (const item of column) {
      Object.assign(item, { x: 1 + index * (NODE_W + gap), y: y + size(item) / 2 });
      y += size(item);
    }
  });
  const drawn = chains.map((chain) => ({ ...chain, ...route(chain, gap) }));
  apart(drawn);
  return shape("svg", { width, height: height + (drawn.some(({ back }) => back) ? 50 : 0) },
    ...drawn.map(({ edge, d }) => {
      const path = shape("path", { class: "flow-edge", d });
      path.style.strokeWidth = `${1 + 6 * edge.share}px`;
      return path;
    }),
    ...columns.flat().filter((item) => item.node).map((item) => drawNode(item, inWindow)),
    ...drawn.map((each) => drawLabel(each, typesOf(nodes), inWindow)));
}

/** Through the places that an edge has in the columns between its ends. One that leads back goes below. */
function route({ items, edge }, gap) {
  const [from, to] = [items[0], items.at(-1)];
  if (!edgeIsIn(from, to)) {
    const [start, end] = [from.x + NODE_W / 2, to.x + NODE_W / 2], low = Math.max(from.y, to.y) + NODE_H / 2 + 44;
    return {
      back: true, label: { x: (start + end) / 2, y: low - 12 }, edge,
      d: `M${start} ${from.y + NODE_H / 2}C${start} ${low} ${end} ${low} ${end} ${to.y + NODE_H / 2}`,
    };
  }
  const parts = items.slice(1).map((item, index) => {
    const x = items[index].x + NODE_W, y = items[index].y;
    const through = item.node ? "" : `H${item.x + NODE_W}`;
    return `C${x + gap / 2} ${y} ${item.x - gap / 2} ${item.y} ${item.x} ${item.y}${through}`;
  });
  const last = items.at(-2);
  return {
    d: `M${from.x + NODE_W} ${from.y}${parts.join("")}`,
    label: { x: to.x - gap / 2, y: (last.y + to.y) / 2 },
  };
}

/** Labels between the same columns are moved from one another. */
function apart(drawn) {
  const gaps = Map.groupBy(drawn.map(({ label }) => label), ({ x }) => Math.round(x));
  for (const labels of gaps.values()) {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, index) => {
      label.y = Math.max(label.y, LABEL_H / 2 + TOP, index ? labels[index - 1].y + LABEL_H : 0);
    });
  }
}

function drawNode({ node, x, y }, inWindow) {
  const { lane, type, role, count, share, stops } = node;
  const text = (content, dy, kind) => shape("text", { class: kind, x: x + 34, y: y + dy }, content);
  const mark = icon(role);
  for (const [name, value] of Object.entries({ x: x + 9, y: y - 19, width: 18, height: 18 })) mark.setAttribute(name, value);
  const said = `${words(type)}, ${lane}: ${counted(count)}, ${percent(share)}`;
  return shape("g", { class: "flow-node" },
    shape("a", { href: inWindow({ type, service: lane }), "aria-label": said },
      shape("rect", { x, y: y - NODE_H / 2, width: NODE_W, height: NODE_H, rx: 10 }),
      mark,
      text(short(words(type)), -6, "name"),
      text(`${number(count)} · ${percent(share)}`, 12, "amount"),
      shape("title", {}, said)),
    ...(stops
      ? [shape("a", { href: inWindow({ lastType: type, status: "open" }), "aria-label": `${counted(stops)} stop at ${words(type)}` },
        shape("text", { class: "stops", x: x + 34, y: y + NODE_H / 2 + 13 }, `▲ ${number(stops)} stop here`))]
      : []));
}

function drawLabel({ edge, label }, typeOf, inWindow) {
  const { count, share, p50, p95 } = edge, from = typeOf(edge.from), to = typeOf(edge.to);
  const line = (text, dy) => shape("text", { x: label.x, y: label.y + dy, "text-anchor": "middle" }, text);
  const said = `${words(from)} to ${words(to).toLowerCase()}: ${number(count)}, ${percent(share)}, `
    + `p50 ${duration(p50)}, p95 ${duration(p95)}`;
  return shape("a", { class: "flow-label", href: inWindow({ edge: `${from}>${to}` }), "aria-label": said },
    shape("title", {}, said),
    shape("rect", { x: label.x - LABEL_W / 2, y: label.y - LABEL_H / 2, width: LABEL_W, height: LABEL_H, rx: 6 }),
    line(`${number(count)} · ${percent(share)}`, -3), line(`${duration(p50)}, p95 ${duration(p95)}`, 11));
}

const short = (text) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

function asTable({ nodes, edges, otherNodes, otherEdges }, inWindow) {
  const typeOf = typesOf(nodes);
  const rarer = [otherNodes && `${number(otherNodes)} rarer event types`, otherEdges && `${number(otherEdges)} rarer steps`];
  return element("div", {},
    element("p", { class: "quiet" }, rarer.some(Boolean) ? `Not drawn: ${rarer.filter(Boolean).join(", ")}.` : ""),
    behind("Event types", ["Event", "Service", "Count", "Share", "Stop here"],
      nodes.map(({ lane, type, count, share, stops }) => [
        words(type), lane, element("a", { href: inWindow({ type, service: lane }) }, number(count)), percent(share),
        stops ? element("a", { href: inWindow({ lastType: type, status: "open" }) }, number(stops)) : "0",
      ])),
    behind("What led to what", ["Step", "Count", "Share", "p50", "p95"], edges.map((edge) => [
      `${words(typeOf(edge.from))} → ${words(typeOf(edge.to)).toLowerCase()}`,
      element("a", { href: inWindow({ edge: `${typeOf(edge.from)}>${typeOf(edge.to)}` }) }, number(edge.count)),
      percent(edge.share), duration(edge.p50), duration(edge.p95),
    ])));
}
