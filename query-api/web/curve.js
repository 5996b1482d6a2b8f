// The stock of a book over time, as steps: it changes with an event and not between them.
import { h, svg } from "./dom.js";
import { moment, number, t } from "./words.js";

const WIDE = 1000;
const HIGH = 200;

/** More dots than this say less than none. */
const DOTS = 80;

/** The drawing, and `choose(index, isNow)`, which marks one moment in it. */
export function curve(movements) {
  const first = Date.parse(movements[0].occurredAt);
  const last = Math.max(Date.parse(movements.at(-1).occurredAt), first + 1);
  const top = scaleEnd(Math.max(...movements.map((movement) => movement.stock), 1));
  // Events that came in one burst would be one line at the edge: then each event has the same room.
  const gaps = movements.slice(1).map((movement, index) => Date.parse(movement.occurredAt) - Date.parse(movements[index].occurredAt));
  const isBurst = gaps.length > 0 && Math.max(...gaps) > 0.9 * (last - first) && gaps.length > 2;
  const x = (index) => (movements.length === 1 ? 0 : isBurst ? index / (movements.length - 1) : (Date.parse(movements[index].occurredAt) - first) / (last - first)) * WIDE * 0.97;
  const y = (stock) => HIGH - (stock / top) * HIGH;

  let path = `M0 ${y(movements[0].stock)}`;
  movements.forEach((movement, index) => { path += `H${x(index).toFixed(1)}V${y(movement.stock).toFixed(1)}`; });
  path += `H${WIDE}`;
  const now = svg("line.now", { y1: 0, y2: HIGH, x1: 0, x2: 0 });
  const lines = [0, top / 2, top];
  const label = t("curveLabel", { from: moment(movements[0].occurredAt), to: moment(movements.at(-1).occurredAt), min: Math.min(...movements.map((movement) => movement.stock)), max: Math.max(...movements.map((movement) => movement.stock)) });
  const drawing = svg("svg.curve", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    lines.map((stock) => svg("line.grid", { x1: 0, x2: WIDE, y1: y(stock), y2: y(stock) })), svg("path.area", { d: `${path}V${HIGH}H0Z` }), svg("path.path", { d: path }), now);
  const plane = h("div", {}, drawing);
  plane.style.position = "relative";
  const element = h("div.plot", { "aria-hidden": "false" }, plane, lines.map((stock) => at(h("span.number", { "aria-hidden": "true" }, number(Math.round(stock))), null, y(stock))));
  const dots = movements.length > DOTS ? [] : movements.map((movement, index) => at(h(`i${movement.type === "Renewed" ? ".renewal" : ""}`), x(index), y(movement.stock)));
  const chosen = h("i.chosen", { hidden: true });
  plane.append(...dots, chosen);
  return {
    element,
    choose(index, isNow) {
      const here = isNow ? WIDE : x(index);
      now.setAttribute("x1", here);
      now.setAttribute("x2", here);
      at(chosen, here, y(movements[index].stock));
      chosen.hidden = false;
    },
  };
}

function at(element, x, y) {
  if (x !== null) element.style.left = `${(x / WIDE) * 100}%`;
  element.style.top = `${(y / HIGH) * 100}%`;
  return element;
}

/** A round number at or above `value`, whose half is round too. */
function scaleEnd(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * unit).find((end) => end >= value) ?? value;
}
