// The list as it was at another time: read on and on in the order of numbers, and only looked at.
import { ask } from "./api.js";
import { relative } from "./book.js";
import { h } from "./dom.js";
import { Rows } from "./rows.js";
import { edition, moment, number, t, titleOf } from "./words.js";

const SIZE = 200;

/** The view at `#/?at=<time>`; returns what has to be done when another view comes. */
export function openThen(root, parameters) {
  const time = new Date(parameters.get("at"));
  const asOf = Number.isNaN(time.getTime()) ? new Date() : time;
  const found = [];
  const closing = new AbortController();
  let next = `/books?size=${SIZE}&cursor=&asOf=${encodeURIComponent(asOf.toISOString())}`;
  let isAsking = false;

  const rows = new Rows({ label: t("books"), make, draw, seen: (_, last) => { if (last >= found.length - SIZE / 2) more(); } });
  const input = h("input.field-like", { type: "datetime-local", step: "1", "aria-label": t("asOf"), onchange: () => { if (input.value) location.replace(`#/?at=${encodeURIComponent(new Date(input.value).toISOString())}`); } });
  input.value = new Date(asOf.getTime() - asOf.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  const count = h("span", { role: "status" });
  const nothing = h("div.nothing", { hidden: true });
  rows.element.append(nothing);
  root.classList.add("books", "old");
  const head = h("div.head", {}, ["no", "name", "version"].map((key) => h("div", {}, t(key))), h("div.end", {}, t("stock")));
  for (const cell of head.children) cell.style.paddingBlock = "0.5rem";
  root.append(
    h("div.tools", {}, h("label.then", {}, t("asOf"), input), h("a.button.main", { href: "#/" }, t("backToNow"))),
    h("div.wrap", {}, h("p.notice", {}, h("span.lamp.low"), t("listThen", { when: moment(asOf) })), head), rows.element, h("div.foot", {}, count));
  more();

  async function more() {
    if (next === null || isAsking) return;
    isAsking = true;
    try {
      const { body } = await ask(next, { signal: closing.signal });
      found.push(...(body._embedded?.books ?? []));
      next = body._links?.next ? relative(body._links.next.href) : null;
      rows.count = found.length;
      rows.all();
      count.textContent = next === null ? t("count", { n: found.length }) : `${number(found.length)}+`;
      nothing.hidden = found.length > 0;
      if (found.length === 0) nothing.replaceChildren(h("h2", {}, t("emptyTitle")));
    } catch (problem) {
      if (closing.signal.aborted) return;
      nothing.hidden = found.length > 0;
      nothing.replaceChildren(h("h2", {}, t("cannotShow")), h("p", {}, `${problem.title}. ${problem.detail}`), h("button.button", { type: "button", onclick: () => more() }, t("again")));
    } finally {
      isAsking = false;
    }
  }

  function make() {
    return h("div.row", {}, h("div.no.number"), h("div.name", {}, h("a")), h("div.edition.number"), h("div.stock.number", {}, h("b")));
  }

  function draw(row, index) {
    const [no, name, version, stock] = row.children;
    const book = found[index];
    no.textContent = String(book.bookId);
    name.firstChild.textContent = titleOf(book);
    name.firstChild.href = `#/books/${book.bookId}`;
    version.textContent = no.dataset.edition = t("edition", { v: edition(book.version) });
    stock.firstChild.textContent = number(book.stock);
  }

  return () => {
    closing.abort();
    rows.close();
  };
}
