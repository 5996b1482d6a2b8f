// Why the stock is what it is: the sum of the events that still count, each leading to its place in the history.
import { h } from "./dom.js";
import { edition, moment, number, signed, t } from "./words.js";

/** More terms than this are told together. */
const TERMS = 7;

/** How much an event adds to the stock; a renewal sets it. */
export const changeOf = (movement, before) => (movement.type === "Renewed" ? movement.stock - (before?.stock ?? 0) : movement.qty ?? 0);

/** The explanation of the stock after `movements[index]`. */
export function explain(movements, index, hasOlder, choose) {
  const renewal = movements.slice(0, index + 1).findLastIndex((movement) => movement.type === "Renewed");
  const first = Math.max(0, renewal);
  const terms = [];
  // What lies before the loaded part is one number: the stock that the first loaded event found.
  if (renewal < 0 && hasOlder) {
    const before = movements[0].stock - changeOf(movements[0]);
    terms.push(h("li", {}, h("span.sum", {}, h("b.number", {}, number(before)), h("span", {}, t("before")))));
  }
  // What was set aside because nobody can read it changed nothing.
  const counting = movements.slice(first, index + 1).map((movement, offset) => ({ movement, at: first + offset })).filter(({ movement }) => movement.type !== "Skipped");
  const folded = counting.length > TERMS ? counting.slice(1, counting.length - TERMS + 2) : [];
  for (const { movement, at } of counting) {
    if (folded.length > 0 && at === folded[0].at) terms.push(together(folded, movements, choose));
    if (folded.some((one) => one.at === at)) continue;
    const change = movement.type === "Renewed" ? movement.stock : changeOf(movement);
    terms.push(h("li", {}, sign(change, terms.length === 0), term(Math.abs(change), label(movement), movement.position, () => choose(at))));
  }
  const total = movements[index].stock;
  return [
    h("header", {}, h("h2", { id: "why-title" }, t("why", { n: total }))),
    h("ol", {}, terms, h("li", {}, h("span.sign", {}, "="), h("span.sum", {}, h("b.number", {}, number(total)), h("span", {}, moment(movements[index].occurredAt))))),
    h("p", {}, t(renewal >= 0 ? "whyText" : hasOlder ? "whyPart" : "whyAll")),
  ];
}

function sign(change, isFirst) {
  return isFirst ? null : h("span.sign", {}, change < 0 ? "−" : "+");
}

function term(size, text, key, onclick) {
  return h("button", { type: "button", "data-key": `why-${key}`, onclick }, h("b.number", {}, number(size)), h("span", {}, text));
}

function together(folded, movements, choose) {
  const change = folded.reduce((sum, { movement }) => sum + changeOf(movement), 0);
  return h("li", {}, sign(change, false), term(Math.abs(change), t("others", { n: folded.length }), "others", () => choose(folded.at(-1).at)));
}

function label(movement) {
  const what = movement.type === "Renewed" ? t("edition", { v: edition(movement.version) }) : movement.type === "Corrected" ? movement.reason ?? "" : "";
  return [t(movement.type), what && `(${what})`, `· ${moment(movement.occurredAt)}`].filter(Boolean).join(" ");
}

export const changeText = (movement, before) => signed(changeOf(movement, before));
