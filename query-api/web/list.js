// The list of books: search, order, low stock, and what can be done with a book without leaving the list.
import { watch, book as bookOf } from "./books.js";
import { act } from "./commands.js";
import { h, icon, paced, pulse, settled } from "./dom.js";
import { followFrom, heard } from "./live.js";
import { Pages } from "./pages.js";
import { Rows } from "./rows.js";
import { canLookBack, openThen } from "./then.js";
import { edition, number, t, titleOf } from "./words.js";

/** At how many copies a book is low. */
export const LOW_AT = 10;

const COLUMNS = [["bookId", "no", ""], ["name", "name", ""], ["version", "version", ""], ["stock", "stock", "end"]];

/** Where the list was left, so that the way back from a book leads there. */
const left = { address: "#/", scroll: 0, here: 0 };
export const lastList = () => left.address;

/** The list at `#/?q=&sort=&low=&at=`; returns what has to be done when another view comes. */
export function list(root, parameters) {
  if (parameters.has("at")) return openThen(root, parameters);
  const query = { q: parameters.get("q") ?? "", sort: parameters.get("sort") ?? "bookId", maxStock: parameters.has("low") ? LOW_AT : null };
  let pages = new Pages(query, changed);
  let shownPages = pages;
  let here = 0;
  let hereId;
  let moved = 0;
  // Where the list was left, until there are rows to scroll to.
  let scrollTo = 0;

  const rows = new Rows({ label: t("books"), make: makeRow, draw, seen: (first, last) => pages.need(first, last) });
  const search = h("input", { type: "search", placeholder: t("searchHint"), "aria-label": t("search"), autocomplete: "off", spellcheck: "false", maxlength: "200", oninput: settled(searchFor, 150), onkeydown: leaveSearch });
  search.value = query.q;
  const lowOnly = h("button.button.toggle", { type: "button", "aria-pressed": String(query.maxStock !== null), onclick: toggleLow }, t("lowOnly", { n: LOW_AT }));
  const lookBack = h("a.button.toggle", { href: `#/?at=${encodeURIComponent(fullMinute())}`, title: t("asOfList"), "aria-label": t("asOfList"), "data-then": true, hidden: true }, icon16("clock"), h("span", {}, t("asOf")));
  canLookBack().then((can) => { lookBack.hidden = !can; });
  const head = h("div.head", { role: "row", id: "list-head", "aria-rowindex": 1 }, COLUMNS.map(([field, key, place]) => h(`div${place && `.${place}`}`, { role: "columnheader", "data-field": field }, h("button", { type: "button", onclick: () => sortBy(field) }, t(key)))), h("div.acts", { role: "columnheader" }, h("span.for-readers", {}, t("actions"))));
  const count = h("span", { role: "status", "aria-live": "polite" });
  const reorder = h("button.button", { type: "button", hidden: true, onclick: sortAgain }, t("reorder"));
  const nothing = h("div.nothing", { hidden: true });

  // What has the focus is the grid, also for those who hear it; its head stands outside of what scrolls.
  for (const [name, value] of [["role", "grid"], ["aria-owns", "list-head"], ["aria-readonly", "true"]]) rows.element.setAttribute(name, value);
  rows.element.append(nothing);
  rows.element.addEventListener("keydown", onKey);
  rows.element.addEventListener("click", onClick);
  root.classList.add("books");
  root.append(
    h("h1.for-readers", {}, t("books")),
    h("div.tools", {}, h("div.search", {}, icon("search"), search, h("kbd", { "aria-hidden": "true" }, "/")), lowOnly,
      lookBack,
      h("button.button.main", { type: "button", "data-new": true, onclick: () => act("warehouse", null) }, t("newBook"))),
    head, rows.element,
    h("div.foot", {}, count, reorder, h("span.keys", {}, t("keysHint"))),
  );
  // What is there, and how much, is asked for again once for all that changes until then.
  const lookAgain = paced(refresh, 400);
  const unwatch = watch(onNews);
  const unhear = heard(lookAgain);
  sortMarks();
  if (left.address === location.hash || (left.address === "#/" && location.hash === "")) {
    here = left.here;
    scrollTo = left.scroll;
  }
  pages.need(0, 0);

  /** The query has changed: the old rows stay until the new ones are here. */
  function ask() {
    history.replaceState(null, "", addressOf(query));
    if (pages !== shownPages) pages.close();
    pages = new Pages({ ...query }, changed);
    pages.need(0, 0);
  }

  function changed() {
    if (pages !== shownPages && (pages.total !== null || pages.problem)) {
      if (pages.problem?.passes && pages.total === null && shownPages.total) return;
      shownPages.close();
      shownPages = pages;
      here = 0;
      hereId = undefined;
      moved = 0;
      rows.element.scrollTop = 0;
    }
    const { total, problem } = shownPages;
    rows.count = total ?? 0;
    const steps = keepMark();
    rows.all();
    // Who has scrolled goes on seeing the same rows.
    if (steps !== 0 && shownPages.inOrderOfIds && rows.element.scrollTop > 0) rows.element.scrollTop += steps * rows.height;
    if (scrollTo > 0 && total !== null) {
      rows.element.scrollTop = scrollTo;
      scrollTo = 0;
    }
    followFrom(shownPages.position);
    rows.element.setAttribute("aria-rowcount", (total ?? 0) + 1);
    reorder.hidden = moved === 0;
    count.textContent = total === null ? (problem ? "" : t("loading")) : `${t(shownPages.isPlain ? "count" : "countFound", { n: total })}${rows.reachable < total ? ` · ${t("tooMany", { n: rows.reachable })}` : ""}`;
    showNothing(total, problem);
    mark();
  }

  /** The mark stays on its book when rows come or go above it; returns how far it went with it. */
  function keepMark() {
    const before = here;
    const place = hereId === undefined ? -1 : shownPages.placeOf(hereId);
    if (place >= 0) here = place;
    // Until the first page is here, the mark is where it was left.
    if (shownPages.total !== null) here = Math.max(0, Math.min(here, rows.reachable - 1));
    hereId = shownPages.at(here)?.bookId;
    return place >= 0 ? here - before : 0;
  }

  function markAt(index) {
    here = index;
    hereId = shownPages.at(here)?.bookId;
    mark();
  }

  function showNothing(total, problem) {
    const failed = total === null && problem;
    nothing.hidden = !(failed || total === 0);
    if (nothing.hidden) return;
    const again = h("button.button", { type: "button", onclick: () => shownPages.retry() }, t("again"));
    const clear = h("button.button", { type: "button", onclick: () => { query.q = search.value = ""; query.maxStock = null; lowOnly.setAttribute("aria-pressed", "false"); ask(); } }, t("clear"));
    const texts = failed ? [t("cannotShow"), `${problem.title}. ${problem.detail}`, problem.passes ? h("p.small", {}, t("trying")) : "", again]
      : shownPages.query.q ? [t("noneFound"), t("noneFoundText", { q: shownPages.query.q }), clear]
        : shownPages.query.maxStock !== null ? [t("noneFound"), t("noneLow", { n: LOW_AT }), clear]
          : [t("emptyTitle"), t("emptyText"), h("button.button.main", { type: "button", onclick: () => act("warehouse", null) }, t("newBook"))];
    nothing.replaceChildren(h("h2", {}, texts[0]), h("p", {}, texts[1]), ...texts.slice(2));
    nothing.setAttribute("role", failed ? "alert" : "status");
  }

  function makeRow() {
    const button = (kind) => h("button.button", { type: "button", tabindex: "-1", "data-act": kind }, t(kind));
    return h("div.row", { role: "row" },
      h("div.no.number", { role: "gridcell", "data-word": t("no") }), h("div.name", { role: "gridcell" }, h("a", { tabindex: "-1" })), h("div.edition.number", { role: "gridcell" }),
      h("div.stock.number", { role: "gridcell" }, h("span.mark", { hidden: true }), h("b")), h("div.acts", { role: "gridcell" }, button("warehouse"), button("renew"), button("correct")));
  }

  function draw(row, index) {
    const found = shownPages.at(index);
    const [no, name, version, stock] = row.children;
    const [link] = name.children;
    const [low, copies] = stock.children;
    row.id = `row-${index}`;
    row.dataset.index = index;
    row.dataset.book = found?.bookId ?? "";
    row.classList.toggle("blank", found === undefined);
    row.classList.toggle("here", index === here);
    row.classList.toggle("pending", found?.state !== undefined);
    row.classList.toggle("booked", found?.state === "booked");
    row.setAttribute("aria-busy", String(found === undefined || found.state !== undefined));
    no.textContent = no.title = found ? String(found.bookId) : "";
    link.textContent = found ? titleOf(found) : "";
    link.classList.toggle("nameless", found !== undefined && found.name === null);
    if (found) link.href = `#/books/${found.bookId}`;
    version.textContent = no.dataset.edition = found ? t("edition", { v: edition(found.version) }) : "";
    copies.textContent = found ? number(found.stock) : "";
    low.hidden = !found || found.stock > LOW_AT;
    low.textContent = found?.stock === 0 ? t("none") : t("low");
  }

  function onNews(ids, what) {
    const changedIds = new Set(ids);
    for (const [index, row] of rows.shown) {
      const found = shownPages.at(index);
      if (!found || !changedIds.has(found.bookId)) continue;
      draw(row, index);
      if (what === "changed") pulse(row);
    }
    if (what === "intended") return;
    if (shownPages.mayHaveOthers(ids, what === "new")) lookAgain();
    else if (!shownPages.inOrderOfIds) {
      moved += ids.length;
      reorder.hidden = false;
    }
  }

  function refresh() {
    moved = 0;
    shownPages.refresh();
  }

  function sortAgain() {
    refresh();
    rows.element.focus();
  }

  function sortBy(field) {
    const [current, way] = query.sort.split(",");
    query.sort = current === field && way !== "desc" ? `${field},desc` : field;
    sortMarks();
    ask();
  }

  function sortMarks() {
    const [current, way] = query.sort.split(",");
    for (const cell of head.querySelectorAll("[data-field]")) {
      cell.setAttribute("aria-sort", cell.dataset.field !== current ? "none" : way === "desc" ? "descending" : "ascending");
    }
  }

  function searchFor() {
    const q = search.value.trim();
    if (q === query.q) return;
    query.q = q;
    ask();
  }

  function toggleLow() {
    query.maxStock = query.maxStock === null ? LOW_AT : null;
    lowOnly.setAttribute("aria-pressed", String(query.maxStock !== null));
    ask();
  }

  function leaveSearch(event) {
    if (event.key === "Escape" && search.value !== "") {
      search.value = "";
      searchFor();
    } else if (event.key === "Escape" || event.key === "ArrowDown" || (event.key === "Enter" && !event.isComposing)) rows.element.focus();
    else return;
    event.preventDefault();
  }

  function mark() {
    for (const [index, row] of rows.shown) row.classList.toggle("here", index === here);
    if (rows.count > 0) rows.element.setAttribute("aria-activedescendant", `row-${here}`);
    else rows.element.removeAttribute("aria-activedescendant");
  }

  function onKey(event) {
    if (event.target !== rows.element || event.ctrlKey || event.metaKey || event.altKey || rows.count === 0) return;
    const screen = Math.max(1, Math.floor(rows.element.clientHeight / rows.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen, Home: -Infinity, End: Infinity };
    const found = shownPages.at(here);
    // By the place of the key: with a Korean keyboard it gives another letter.
    const kind = { KeyW: "warehouse", KeyR: "renew", KeyC: "correct" }[event.code];
    if (event.key in steps) {
      const index = Math.min(rows.reachable - 1, Math.max(0, here + steps[event.key]));
      rows.reveal(index);
      markAt(index);
    } else if (event.key === "Enter" && found) location.hash = `#/books/${found.bookId}`;
    else if (kind && found) act(kind, bookOf(found.bookId));
    else return;
    event.preventDefault();
  }

  function onClick(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    markAt(Number(row.dataset.index));
    const kind = event.target.closest("[data-act]")?.dataset.act;
    const found = shownPages.at(here);
    if (kind && found) act(kind, bookOf(found.bookId));
  }

  return () => {
    Object.assign(left, { address: addressOf(query), scroll: rows.element.scrollTop, here });
    unwatch();
    unhear();
    pages.close();
    shownPages.close();
    rows.close();
  };
}

function addressOf({ q, sort, maxStock }) {
  const hash = new URLSearchParams();
  if (q) hash.set("q", q);
  if (sort !== "bookId") hash.set("sort", sort);
  if (maxStock !== null) hash.set("low", "");
  return `#/${hash.size > 0 ? `?${hash}` : ""}`;
}

/** A time that has passed also where this clock is some seconds fast. */
const fullMinute = () => new Date(Math.floor(Date.now() / 60_000 - 0.25) * 60_000).toISOString();

function icon16(name) {
  const drawing = icon(name);
  drawing.setAttribute("width", "16");
  drawing.setAttribute("height", "16");
  return drawing;
}
