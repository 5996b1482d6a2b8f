// A receiving list on the page: looked at before anything is booked, then sent with the result of each row beside it.
import { MOST_BYTES, NotAList, csvLine, readList } from "./csv.js";
import { h, icon, toast } from "./dom.js";
import { Rows } from "./rows.js";
import { sendRows } from "./send.js";
import { edition, number, t } from "./words.js";

/** The list that is here, also while one looks at something else. */
let delivery = null;
let complaint = null;
let showing = () => {};

/** Takes a file that was dropped or chosen. */
export async function offerFile(file) {
  if (!file) return;
  if (delivery?.run) {
    toast(t("oneAtATime", { file: delivery.file }), "bad");
    return;
  }
  complaint = null;
  delivery = null;
  try {
    if (file.size > MOST_BYTES) throw new NotAList(t("tooLarge", { n: MOST_BYTES / 1024 / 1024 }));
    const list = readList(new Uint8Array(await file.arrayBuffer()));
    for (const row of list.rows) Object.assign(row, row.fault ? { state: "wrong", note: row.fault } : { state: "ready", note: "" });
    delivery = { ...list, file: file.name, filter: list.rows.some((row) => row.fault) ? "bad" : "all", run: null, waiting: null };
  } catch (error) {
    complaint = error instanceof NotAList ? error.message : t("notCsv");
  }
  showing();
}

/** What can be put right and sent as another list; there, a row that may be booked already would be booked twice. */
const isRejected = (row) => row.state === "wrong" || row.state === "refused";
const isBad = (row) => isRejected(row) || row.state === "unreadable";
const FILTERS = { all: () => true, good: (row) => row.state === "ready" || row.state === "sending", done: (row) => row.state === "booked", already: (row) => row.state === "repeated", bad: isBad };

window.addEventListener("beforeunload", (event) => { if (delivery?.run) event.preventDefault(); });

/** The view at `#/receive`. */
export function receivePage(root) {
  let rows = null;
  let visible = [];
  const file = h("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", hidden: true, "aria-label": t("choose"), onchange: () => offerFile(file.files[0]) });
  root.classList.add("receive");
  showing = show;
  show();

  function show() {
    rows?.close();
    rows = null;
    root.replaceChildren(h("h1", {}, t("receiving")), file, delivery ? sheet() : dropPlace());
    if (delivery) refresh();
  }

  function dropPlace() {
    return h("div.drop", {}, icon("inbox"), h("h2", {}, complaint ? t("notCsv") : t("dropTitle")), h("p", complaint ? { role: "alert" } : {}, complaint ?? t("dropText")),
      h("button.button.main", { type: "button", onclick: () => file.click() }, t("choose")), h("pre", { "aria-hidden": "true" }, "bookId,qty,name\n1,123,해리 포터\n2,7,"));
  }

  function sheet() {
    rows = new Rows({ label: t("receiving"), make, draw });
    const head = ["line", "no", "name", "version", "quantity", "result"].map((key) => h(`div${key === "quantity" ? ".end" : ""}`, { role: "columnheader" }, t(key)));
    const copies = delivery.rows.reduce((sum, row) => sum + (row.fault ? 0 : Number(row.qty)), 0);
    const about = [t("rowsIn", { n: delivery.rows.length, copies }), delivery.encoding === "UTF-8" ? "" : t("encoding", { which: delivery.encoding }), delivery.ignored.length > 0 ? t("ignored", { names: delivery.ignored.join(", ") }) : ""];
    return h("section.sheet", {},
      h("header", {}, h("div", {}, h("h2", {}, delivery.file), h("p.quiet.small", {}, about.filter(Boolean).join(" · "))), h("div.decide")),
      h("div.tally", { role: "group" }), h("div.progress", { role: "status" }, h("progress", { max: delivery.rows.length, "aria-label": t("receiving") }), h("span.small.quiet")),
      h("div.table", { role: "grid", "aria-label": delivery.file }, h("div.head", { role: "row" }, head), rows.element));
  }

  /** Shows how far it is; called at most once a frame while rows are on their way. */
  function refresh() {
    if (!rows) return;
    const counts = Object.fromEntries(Object.entries(FILTERS).map(([name, filter]) => [name, delivery.rows.filter(filter).length]));
    visible = delivery.rows.filter(FILTERS[delivery.filter]);
    const before = rows.count;
    rows.count = visible.length;
    if (before === visible.length && delivery.filter === "all") rows.redraw();
    else rows.all();
    const choose = (filter) => h(`button.button${filter === "bad" ? ".bad" : ""}`, { type: "button", "aria-pressed": String(delivery.filter === filter), "data-filter": filter, onclick: () => { delivery.filter = filter; refresh(); } }, t(filter, { n: counts[filter] }));
    // What was booked before is rare: it has its place when there is some.
    root.querySelector(".tally").replaceChildren(...Object.keys(FILTERS).filter((name) => name !== "already" || counts.already > 0).map(choose));
    const booked = counts.done + counts.already;
    root.querySelector("progress").value = booked + counts.bad;
    const isOver = counts.good === 0;
    root.querySelector(".progress span").textContent = delivery.waiting ? `${t("waiting")} (${delivery.waiting.title})` : isOver ? outcome(counts) : "";
    root.querySelector(".progress").hidden = booked === 0 && !delivery.run;
    decisions({ ...counts, done: booked, rejected: delivery.rows.filter(isRejected).length }, isOver);
  }

  /** What has come of the whole list: what is booked now is not what was booked before. */
  function outcome({ done, already: again, bad }) {
    if (bad > 0) return t(again > 0 ? "finishedAgain" : "finished", { n: done, again, bad });
    return done === 0 ? t("allAgain", { n: again }) : again > 0 ? t("allDoneAgain", { n: done + again, again }) : t("allDone", { n: done });
  }

  function decisions({ good, done, rejected }, isOver) {
    const state = `${delivery.run ? "run" : isOver ? "over" : done > 0 ? "go" : `start ${good}`} ${rejected > 0}`;
    const place = root.querySelector(".decide");
    if (place.dataset.state === state) return;
    place.dataset.state = state;
    const other = h("button.button", { type: "button", onclick: () => { file.value = ""; file.click(); } }, t("another"));
    const main = delivery.run ? h("button.button", { type: "button", "data-do": "stop", onclick: () => delivery.run.abort() }, t("stop"))
      : isOver ? null : h("button.button.main", { type: "button", "data-do": "start", onclick: start }, done > 0 ? t("goOn", { n: good }) : t("start", { n: good }));
    const save = rejected > 0 && !delivery.run ? h("button.button", { type: "button", "data-do": "save", onclick: saveProblems }, t("rejectedFile")) : null;
    place.replaceChildren(...[delivery.run ? null : other, save, main].filter(Boolean));
  }

  async function start() {
    const mine = delivery;
    mine.run = new AbortController();
    mine.filter = "all";
    let frame = null;
    const soon = () => {
      frame ??= requestAnimationFrame(() => {
        frame = null;
        if (delivery === mine) showing === show ? refresh() : showing.refresh?.();
      });
    };
    soon();
    await sendRows(mine.rows.filter((row) => row.state === "ready"), mine.run.signal, (waiting) => { mine.waiting = waiting; soon(); });
    mine.run = null;
    mine.waiting = mine.waiting?.status === 401 ? mine.waiting : null;
    soon();
  }
  show.refresh = refresh;

  function saveProblems() {
    const text = "\ufeff" + [[...delivery.header, t("result")], ...delivery.rows.filter(isRejected).map((row) => [...row.cells, row.note])].map(csvLine).join("");
    const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    h("a", { href, download: delivery.file.replace(/(\.\w+)?$/, ".rejected.csv") }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  }

  function make() {
    return h("div.row", { role: "row" }, ["line.no.number", "no.number", "name.clip", "edition.number", "qty.end.number", "result"].map((place) => h(`div.${place}`, { role: "gridcell" })));
  }

  function draw(row, index) {
    const { line, bookId, name, version, qty, state, note } = visible[index];
    row.className = `row ${state}`;
    const shown = [String(line), bookId, name, version && !Number.isNaN(Number(version)) ? t("edition", { v: edition(Number(version)) }) : version, /^\d+$/.test(qty) ? number(Number(qty)) : qty, isBad({ state }) ? note : t(`r_${state}`, { stock: note })];
    row.children[2].dataset.no = `${t("no")} ${bookId.slice(0, 600)}`;
    // A quote that nobody closed has the rest of the file in its cell.
    const parts = shown.map((text) => text.slice(0, 600));
    [...row.children].forEach((cell, at) => { cell.textContent = parts[at]; cell.title = at === 5 || at === 2 ? parts[at] : ""; });
  }

  return () => {
    rows?.close();
    showing = () => {};
  };
}
