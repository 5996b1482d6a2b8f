// The rows of one query, fetched page by page where one looks, kept when the server is away.
import { ask } from "./api.js";
import { book, learn } from "./books.js";

const SIZE = 100;

/** While somebody scrolls, what they pass by sooner than this is not asked for. */
const GLANCE_MS = 80;
const KEPT = "bookstock.lastRows";

/** A list: `query` is `{q, sort, maxStock}`. `changed()` is called when there is more, or other, to show. */
export class Pages {
  constructor(query, changed) {
    this.query = query;
    this.changed = changed;
    this.total = null;
    this.position = null;
    this.problem = null;
    this.pages = new Map();
    this.stale = new Set();
    this.asked = new Set();
    this.looked = null;
    this.glance = null;
    this.closed = new AbortController();
  }

  get isPlain() { return !this.query.q && this.query.maxStock === null; }
  get inOrderOfIds() { return this.query.sort === "bookId"; }

  /** The book at `index`, if its page is here. */
  at(index) {
    const id = this.pages.get(Math.floor(index / SIZE))?.[index % SIZE];
    return id === undefined ? undefined : book(id);
  }

  /** The index of the book `id`, as far as pages are here; else -1. */
  placeOf(id) {
    for (const [page, ids] of this.pages) if (ids.includes(id)) return page * SIZE + ids.indexOf(id);
    return -1;
  }

  /** Whether there may be other books in this list, now that these are new or have changed. What a search finds, the server knows. */
  mayHaveOthers(ids, areNew) {
    const { q, maxStock } = this.query;
    if (q) return true;
    if (maxStock !== null) return ids.some((id) => (book(id).stock <= maxStock) !== (this.placeOf(id) >= 0));
    return areNew && (this.inOrderOfIds || this.total === 0);
  }

  /** Sees to it that the rows from `first` to `last` are here or under way, and half a page around: who scrolls on meets no blanks. */
  need(first, last) {
    this.looked = [first, last];
    if (this.glance !== null) return;
    this.glance = setTimeout(() => {
      this.glance = null;
      if (this.looked !== null) this.need(...this.looked);
    }, GLANCE_MS);
    this.looked = null;
    const end = Math.floor(Math.min(last + SIZE / 2, Math.max(0, (this.total ?? 1) - 1)) / SIZE);
    for (let page = Math.floor(Math.max(0, first - SIZE / 2) / SIZE); page <= end; page += 1) {
      if ((!this.pages.has(page) || this.stale.has(page)) && !this.asked.has(page)) this.load(page);
    }
  }

  /** What is here may have changed its place: it is shown until the new has come. */
  refresh() {
    this.stale = new Set([...this.pages.keys(), ...this.asked]);
    this.look();
  }

  /** Shows what there is, and has asked for what is missing of it; where there is nothing to look at, for the first page. */
  look() {
    if (this.closed.signal.aborted) return;
    this.changed();
    if (!this.total) this.need(0, 0);
  }

  async load(page) {
    this.asked.add(page);
    // What changes from here on may be missing in the answer: then the page is stale again.
    this.stale.delete(page);
    try {
      const { body, headers } = await ask(this.address(page), { signal: this.closed.signal });
      const rows = body._embedded?.books ?? [];
      const total = body.page?.totalElements ?? rows.length;
      if (this.total !== null && total !== this.total) for (const other of this.pages.keys()) if (other !== page) this.stale.add(other);
      this.total = total;
      this.pages.set(page, rows.map((row) => row.bookId));
      learn(rows, true);
      this.position = headers.get("Bookstock-Position");
      this.problem = null;
      if (page === 0 && this.isPlain) keep(rows, total);
    } catch (problem) {
      if (this.closed.signal.aborted) return;
      this.problem = problem;
      this.stale.add(page);
      if (this.total === null && this.isPlain) this.recall();
      if (problem.passes) setTimeout(() => this.look(), 1000 * (problem.retryAfter ?? 2));
    } finally {
      // A failed page is asked for again by the next look, not before its pause is over.
      if (this.problem?.passes) setTimeout(() => this.asked.delete(page), 900 * (this.problem.retryAfter ?? 2));
      else if (!this.problem) this.asked.delete(page);
    }
    this.changed();
  }

  /** Forgets that it failed, and asks at once. */
  retry() {
    this.asked.clear();
    this.problem = null;
    this.look();
  }

  address(page) {
    const parameters = new URLSearchParams({ page, size: SIZE });
    const { q, sort, maxStock } = this.query;
    if (sort !== "bookId") {
      parameters.append("sort", sort);
      parameters.append("sort", "bookId");
    }
    if (q) parameters.set("q", q);
    if (maxStock !== null) parameters.set("maxStock", maxStock);
    return `/books?${parameters}`;
  }

  /** The rows that this tab saw last, for a start while the server is away. */
  recall() {
    try {
      const { rows, total } = JSON.parse(sessionStorage.getItem(KEPT));
      this.total = total;
      this.pages.set(0, rows.map((row) => row.bookId));
      learn(rows, true);
      this.stale.add(0);
    } catch { /* nothing was seen */ }
  }

  close() {
    clearTimeout(this.glance);
    this.closed.abort();
  }
}

function keep(rows, total) {
  const plain = rows.map(({ bookId, name, stock, version, revision }) => ({ bookId, name, stock, version, revision }));
  try { sessionStorage.setItem(KEPT, JSON.stringify({ rows: plain, total })); } catch { /* no room */ }
}
