// One book: what there is, the events that made it so, and what there was at any time before.
import { ask, momentOf } from "./api.js";
import { book as bookOf, watch } from "./books.js";
import { act } from "./commands.js";
import { curve } from "./curve.js";
import { h, paced, pulse, settled, toast } from "./dom.js";
import { explain } from "./why.js";
import { historyTable } from "./history.js";
import { LOW_AT, lastList } from "./list.js";
import { heard, lookAt } from "./live.js";
import { Problem } from "./problem.js";
import { edition, moment, number, t, titleOf } from "./words.js";

const SIZE = 500;
const POLL_MS = 4_000;

/** How many parts of a history are read to reach the moment that an address names. */
const PARTS = 20;

/** The page of book `id` at `#/books/<id>?at=<position or time>`; returns what has to be done when another view comes. */
export function bookPage(root, parameters, id) {
  let movements = [];
  let older = null;
  // The position that is looked back to; null is now.
  let at = null;
  // What the book was there.
  let past = null;
  // The moment of the address, until the server has told its position.
  let asked = parameters.get("at");
  const opened = new Set();
  let closed = false;
  const closing = new AbortController();
  const { signal } = closing;

  const name = h("h1");
  const copies = h("b.number");
  const unit = h("span.quiet");
  const copiesBox = h("p.copies", { "aria-live": "polite" }, copies, unit);
  const facts = h("p.facts");
  const mark = h("span.mark", { hidden: true });
  const acts = h("div.acts", {}, ["warehouse", "renew", "correct"].map((kind) => h(`button.button${kind === "warehouse" ? ".main" : ""}`, { type: "button", "data-act": kind, onclick: () => act(kind, bookOf(id)) }, t(kind))));
  const title = h("header.title", { hidden: true }, h("div", {}, name, facts), copiesBox, acts);
  const body = h("div", { "aria-busy": "true" });
  const problemBox = h("div.nothing", { hidden: true });
  root.classList.add("book");
  root.append(h("a.back", { href: lastList() }, `← ${t("backToList")}`), title, problemBox, body);
  root.addEventListener("keydown", onKey);

  let isBeginning = false;
  // Of a history that was made anew, nothing is kept.
  let isAnew = false;
  const unwatch = watch((ids, what) => {
    if (!ids.includes(id)) return;
    show();
    // What this page itself has asked for first is no news.
    if (what === "changed" || (what === "new" && !isBeginning)) {
      if (past === null) pulse(copiesBox);
      again();
    }
  });
  const unhear = heard((anew) => {
    if (!anew) return;
    isAnew = true;
    lookAt(id).catch(() => {});
    again();
  });
  const again = paced(loadNewest, 150);
  const timer = setInterval(() => { if (!document.hidden) lookAt(id).catch(() => {}); }, POLL_MS);
  begin();

  async function begin() {
    if (bookOf(id)) show();
    isBeginning = true;
    try {
      await lookAt(id);
      if (asked !== null) await lookBack();
      show();
    } catch (problem) {
      if (closed) return;
      const isMissing = !bookOf(id) || asked !== null;
      if (isMissing) fail(problem);
      if (problem.passes) setTimeout(() => { if (!closed) begin(); }, 1000 * (problem.retryAfter ?? 2));
      if (isMissing) return;
    } finally {
      isBeginning = false;
    }
    loadNewest();
  }

  /** Finds the event that the moment of the address means. */
  async function lookBack() {
    const given = momentOf(asked);
    if (!given) throw new Problem({ status: 400, title: t("noMoment", { text: asked }) });
    const { body: then } = await ask(`/books/${id}?asOf=${encodeURIComponent(given.position ?? given.time)}`, { signal });
    past = then;
    at = String(then.position);
    asked = null;
  }

  function fail(problem) {
    if (bookOf(id) && !problem.passes) {
      problemBox.hidden = false;
      body.setAttribute("aria-busy", "false");
      problemBox.replaceChildren(h("h2", {}, problem.title), h("p", {}, problem.detail), h("a.button.main", { href: `#/books/${id}` }, t("backToNow")));
      return;
    }
    const isUnknown = problem.status === 404;
    // Of a book that never was there is no past either: its page waits for its first copies.
    if (isUnknown) asked = null;
    const warehouse = h("button.button.main", { type: "button", onclick: () => act("warehouse", null, id) }, t("newBook"));
    problemBox.hidden = false;
    body.setAttribute("aria-busy", String(!isUnknown));
    problemBox.replaceChildren(h("h2", {}, isUnknown ? t("noSuchBook") : t("cannotShow")), h("p", {}, isUnknown ? t("noSuchBookText", { id: String(id) }) : `${problem.title}. ${problem.detail}`), isUnknown ? warehouse : h("p.small", {}, t("trying")));
  }

  function show() {
    const book = asked === null ? past ?? bookOf(id) : undefined;
    if (closed) return;
    // A first copy that was only intended is gone again when it is refused.
    title.hidden = !book;
    problemBox.hidden = book !== undefined || problemBox.childElementCount === 0;
    if (!book) return;
    document.title = `${titleOf(book)} · bookstock`;
    name.textContent = name.title = titleOf(book);
    copies.textContent = number(book.stock);
    unit.textContent = t("copies", { n: book.stock });
    copiesBox.classList.toggle("pending", book.state !== undefined);
    copiesBox.setAttribute("aria-live", past ? "off" : "polite");
    for (const button of acts.children) {
      button.disabled = past !== null;
      button.title = past ? t("onlyNow") : "";
    }
    mark.hidden = book.stock > LOW_AT;
    mark.textContent = book.stock === 0 ? t("none") : t("low");
    facts.replaceChildren(h("span.number", {}, `${t("no")} ${book.bookId}`), h("span", {}, t("edition", { v: edition(book.version) })), mark);
  }

  /** The newest part of the history; what was loaded before it stays. */
  async function loadNewest() {
    if (asked !== null) return;
    try {
      const page = await load("");
      if (isAnew) movements = [];
      isAnew = false;
      const known = new Set(page.movements.map((movement) => movement.revision));
      const overlap = movements.length === 0 || movements.some((movement) => known.has(movement.revision));
      if (movements.length === 0 || !overlap) older = page.older;
      movements = [...(overlap ? movements.filter((movement) => !known.has(movement.revision)) : []), ...page.movements].sort((a, b) => a.revision - b.revision);
      for (let parts = 0; parts < PARTS && at !== null && older !== null && Number(movements[0].position) > Number(at); parts += 1) await loadOlder();
      draw();
    } catch (problem) {
      if (closed) return;
      if (problem.passes) setTimeout(again, 1000 * (problem.retryAfter ?? 3));
      if (movements.length === 0) body.replaceChildren(h("section.card", { role: "status" }, h("h2", {}, t("historyAway")), h("p.quiet", {}, `${problem.title}. ${problem.detail}`), problem.passes ? h("p.quiet.small", {}, t("trying")) : null,
        past && h("p", {}, `${t("atPosition", { p: at })} · `, h("a", { href: `#/books/${id}` }, t("backToNow")))));
    }
    body.setAttribute("aria-busy", "false");
  }

  async function load(cursor) {
    const address = cursor || `/books/${id}/history?size=${SIZE}&order=desc&cursor=`;
    const { body: page } = await ask(address, { signal });
    const next = page._links?.next?.href;
    return { movements: page._embedded?.movements ?? [], older: next ? relative(next) : null };
  }

  async function loadOlder() {
    const page = await load(older);
    older = page.older;
    movements = [...page.movements, ...movements].sort((a, b) => a.revision - b.revision);
  }

  async function showOlder() {
    try {
      await loadOlder();
    } catch (problem) {
      if (!closed) toast(`${problem.title}. ${problem.detail}`, "bad");
    }
    draw();
  }

  function draw() {
    if (closed || movements.length === 0) return;
    let chosen = at === null ? movements.length - 1 : movements.findLastIndex((movement) => Number(movement.position) <= Number(at));
    if (chosen < 0) chosen = 0;
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const plot = curve(movements);
    const slider = h("input", { type: "range", min: 0, max: movements.length - 1, step: 1, "aria-label": t("slider"), "data-key": "slider", oninput: () => choose(Number(slider.value)) });
    slider.value = chosen;
    const note = h("div.then-note", { role: "status", hidden: true });
    const why = h("section.card.why", { "aria-labelledby": "why-title" });
    const table = historyTable(movements, { choose, opened, older: older && showOlder });
    body.replaceChildren(
      h("section.card", { "aria-labelledby": "curve-title" }, h("header", {}, h("h2", { id: "curve-title" }, t("curve"))), plot.element,
        h("div.slider", { hidden: movements.length === 1 }, h("span.quiet.small", {}, moment(movements[0].occurredAt)), slider, h("span.quiet.small", {}, t("now"))), note),
      why, table.element);
    mind(chosen);
    // What comes in meanwhile takes nobody's place away.
    if (focused) body.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });

    function choose(index) {
      at = index === movements.length - 1 ? null : movements[index].position;
      history.replaceState(null, "", `#/books/${id}${at === null ? "" : `?at=${at}`}`);
      slider.value = index;
      mind(index);
    }

    function mind(index) {
      const movement = movements[index];
      const isNow = at === null;
      past = isNow ? null : movement;
      show();
      plot.choose(index, isNow);
      table.choose(index, isNow);
      why.replaceChildren(...explain(movements, index, older !== null, choose));
      slider.setAttribute("aria-valuetext", `${moment(movement.occurredAt)}, ${number(movement.stock)}`);
      note.hidden = isNow;
      if (!isNow) askThen(movement, note);
    }
  }

  /** What the server says of the book as it was: the same fold, asked by position. */
  const askThen = settled(async (movement, note) => {
    try {
      const { body: then } = await ask(`/books/${id}?asOf=${movement.position}`, { signal });
      if (past !== movement) return;
      note.replaceChildren(h("span", {}, t("then", { when: moment(movement.occurredAt), stock: then.stock, v: edition(then.version) })), h("span.quiet.small", {}, t("atPosition", { p: movement.position })),
        h("button.button", { type: "button", "data-key": "back", onclick: backToNow }, t("backToNow")));
    } catch (problem) {
      if (!closed) note.replaceChildren(h("span", {}, `${problem.title}. ${problem.detail}`), h("button.button", { type: "button", "data-key": "back", onclick: backToNow }, t("backToNow")));
    }
  }, 60);

  function backToNow() {
    at = null;
    history.replaceState(null, "", `#/books/${id}`);
    draw();
    root.querySelector("input[type=range]")?.focus();
  }

  function onKey(event) {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) location.hash = lastList();
  }

  return () => {
    closed = true;
    clearInterval(timer);
    closing.abort();
    unwatch();
    unhear();
  };
}

/** A link of the server as a path of this origin: behind a gateway its host may be another name of the same place. */
export function relative(href) {
  const url = new URL(href, location.href);
  return url.pathname + url.search;
}
