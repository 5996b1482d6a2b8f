// The list as it was at another time: read on and on in the order of numbers, and only looked at.
import { ask, momentOf } from "./api.js";
import { relative } from "./book.js";
import { h } from "./dom.js";
import { Rows } from "./rows.js";
import { edition, moment, number, t, titleOf } from "./words.js";

const SIZE = 200;

/** Whether this server can tell how things were; an outage says nothing about that. */
export const canLookBack = () => (answered ??= ask("/books?size=1&cursor=&asOf=0", { quietly: true }).then(() => true, (problem) => problem.status !== 400));
let answered;

/** The view at `#/?at=<position or time>`; returns what has to be done when another view comes. */
export function openThen(root, parameters) {
  const given = momentOf(parameters.get("at"));
  const { position, time } = given ?? {};
  const found = [];
  const closing = new AbortController();
  // As it was given: a Date knows no microseconds.
  let next = given && `/books?size=${SIZE}&cursor=&asOf=${encodeURIComponent(position ?? time)}`;
  let isAsking = false;
  // The last row that was looked at. While the next part does not come, only the button asks for it again.
  let looked = 0;

  const rows = new Rows({ label: t("books"), make, draw, seen: (_, last) => { looked = last; if (goOn.hidden) more(); } });
  const input = h("input.field-like", { type: "datetime-local", step: "1", "aria-label": t("asOf"), onchange: () => { if (input.value) location.replace(`#/?at=${encodeURIComponent(new Date(input.value).toISOString())}`); } });
  if (time) {
    const asOf = new Date(time);
    input.value = new Date(asOf.getTime() - asOf.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  }
  const count = h("span", { role: "status" });
  const goOn = h("button.button", { type: "button", hidden: true, onclick: () => { looked = found.length; more(); } }, t("again"));
  const nothing = h("div.nothing", { hidden: true });
  rows.element.append(nothing);
  root.classList.add("books", "old");
  const head = h("div.head", { role: "row" }, ["no", "name", "version"].map((key) => h("div", { role: "columnheader" }, t(key))), h("div.end", { role: "columnheader" }, t("stock")));
  for (const cell of head.children) cell.style.paddingBlock = "0.5rem";
  const table = h("div", { role: "table", "aria-label": t("books") }, head, rows.element);
  table.style.display = "contents";
  root.append(
    h("div.tools", {}, h("label.then", {}, t("asOf"), input), h("a.button.main", { href: "#/" }, t("backToNow"))),
    h("p.notice", {}, h("span.lamp.low"), given ? t(time ? "listThen" : "listThenAt", { when: time && moment(time), p: position }) : t("noMoment", { text: parameters.get("at") })), table, h("div.foot", {}, count, goOn));
  more();

  /** Asks for one part after another until all is there that is looked at. A part may be short, or empty, and not the last. */
  async function more() {
    if (isAsking) return;
    isAsking = true;
    try {
      while (next !== null && looked >= found.length - SIZE / 2) await part();
    } catch (problem) {
      if (!closing.signal.aborted) tell(problem);
    } finally {
      isAsking = false;
    }
  }

  async function part() {
    goOn.hidden = true;
    const { body } = await ask(next, { signal: closing.signal });
    found.push(...(body._embedded?.books ?? []));
    next = body._links?.next ? relative(body._links.next.href) : null;
    rows.count = found.length;
    rows.all();
    count.textContent = next === null ? t("count", { n: found.length }) : found.length > 0 ? `${number(found.length)}+` : t("loading");
    nothing.hidden = found.length > 0 || next !== null;
    nothing.replaceChildren(h("h2", {}, t("emptyTitle")));
  }

  /** Where there are rows, they stay, and what keeps the next ones away is told below them. */
  function tell(problem) {
    nothing.hidden = found.length > 0;
    goOn.hidden = found.length === 0;
    if (found.length > 0) count.textContent = `${number(found.length)}+ · ${problem.title}`;
    else nothing.replaceChildren(h("h2", {}, t("cannotShow")), h("p", {}, `${problem.title}. ${problem.detail}`), h("button.button", { type: "button", onclick: () => more() }, t("again")));
  }

  function make() {
    const cell = { role: "cell" };
    return h("div.row", { role: "row" }, h("div.no.number", { ...cell, "data-word": t("no") }), h("div.name", cell, h("a")), h("div.edition.number", cell), h("div.stock.number", cell, h("b")));
  }

  function draw(row, index) {
    const [no, name, version, stock] = row.children;
    const book = found[index];
    no.textContent = String(book.bookId);
    name.firstChild.textContent = titleOf(book);
    name.firstChild.href = `#/books/${book.bookId}?at=${book.position}`;
    version.textContent = no.dataset.edition = t("edition", { v: edition(book.version) });
    stock.firstChild.textContent = number(book.stock);
  }

  return () => {
    closing.abort();
    rows.close();
  };
}
