// What is known of the books: the rows last seen, and over them what was sent and is not yet in the views.
import { ask } from "./api.js";

const known = new Map();
const intended = new Map();
const watchers = new Set();

/** The making of the rows that is told of now: a row of an earlier one gives way, whatever its revision is. */
let making = 0;

/** What a row tells of its book. */
const FIELDS = ["name", "stock", "version", "revision"];

/** How long the last command of this page took from its answer into the views; null before the first one. */
export const own = { lagMs: null };

/**
 * Calls `watcher(ids, what)` whenever books look different: they were `intended` so by a command of this page, have `changed` in
 * the views, or are `new` here, whoever asked for them.
 */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function tell(ids, what) {
  if (ids.length > 0) for (const watcher of watchers) watcher(ids, what);
}

/** The book as it is shown: the row, or what a command on its way makes of it (`state` `sending` or `booked`). */
export function book(id) {
  const row = known.get(id);
  const over = intended.get(id);
  return over ? { ...row, ...over } : row;
}

/** All rows were made anew: what comes now may have fewer revisions than what is here. */
export function madeAnew() { making += 1; }

/**
 * Takes rows in. An older row never replaces a newer one; what a command intended goes when its fact is here. Rows that a list
 * asked for are no news to it.
 */
export function learn(rows, areListed = false) {
  const changed = [];
  const unheard = [];
  for (const { bookId: id, name, stock, version, revision } of rows) {
    const before = known.get(id);
    if (before?.making === making && before.revision > revision) continue;
    const row = { bookId: id, name, stock, version, revision, making };
    known.set(id, row);
    const over = intended.get(id);
    const isFact = over?.revision !== undefined && row.revision >= over.revision;
    if (isFact) {
      intended.delete(id);
      own.lagMs = Date.now() - over.since;
    }
    if (!before) unheard.push(id);
    else if (isFact || FIELDS.some((field) => before[field] !== row[field])) changed.push(id);
  }
  tell(changed, "changed");
  if (!areListed) tell(unheard, "new");
}

/** Shows at once what a command is going to make of a book. */
export function intend(id, values) {
  intended.set(id, { bookId: id, ...values });
  tell([id], "intended");
}

/** The command was refused: the book is what it was. */
export function withdraw(id) {
  if (intended.delete(id)) tell([id], "intended");
}

/** The command is on disk; its answer is shown until the views have it, and then it is a fact like any other. */
export async function booked(answer) {
  const { bookId: id, name, stock, version, revision, position } = answer;
  if ((known.get(id)?.revision ?? -1) >= revision) {
    own.lagMs = 0;
    withdraw(id);
    return;
  }
  intend(id, { name, stock, version, revision, since: Date.now(), state: "booked" });
  for (let attempt = 0; attempt < 20 && intended.get(id)?.revision === revision; attempt += 1) {
    try {
      const { body } = await ask(`/books/${id}?minPosition=${position}&wait=5000`);
      learn([body]);
    } catch (problem) {
      if (!problem.passes) break;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(attempt + 1, 10)); });
    }
  }
}
