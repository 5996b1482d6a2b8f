// What is known of the books: the rows last seen, and over them what was sent and is not yet in the views.
import { ask } from "./api.js";

const known = new Map();
const intended = new Map();
const watchers = new Set();

/** How long the last command of this page took from its answer into the views; null before the first one. */
export const own = { lagMs: null };

/** Calls `watcher(ids, isNews)` whenever books look different; news are what others, or the views, have changed. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function tell(ids, isNews) {
  if (ids.length > 0) for (const watcher of watchers) watcher(ids, isNews);
}

/** The book as it is shown: the row, or what a command on its way makes of it (`state` `sending` or `booked`). */
export function book(id) {
  const row = known.get(id);
  const over = intended.get(id);
  return over ? { ...row, ...over } : row;
}

/** Whether it is known at all, which says if it belongs to what has been looked at. */
export const isKnown = (id) => known.has(id);

/** Takes rows in. An older row never replaces a newer one; what a command intended goes when its fact is here. */
export function learn(rows) {
  const changed = [];
  for (const row of rows) {
    const id = row.bookId;
    const before = known.get(id);
    if (before && before.revision > row.revision) continue;
    known.set(id, { bookId: id, name: row.name, stock: row.stock, version: row.version, revision: row.revision });
    const over = intended.get(id);
    const isFact = over?.revision !== undefined && row.revision >= over.revision;
    if (isFact) {
      intended.delete(id);
      own.lagMs = Date.now() - over.since;
    }
    if (before && (before.revision !== row.revision || isFact)) changed.push(id);
  }
  tell(changed, true);
  return changed;
}

/** Shows at once what a command is going to make of a book. */
export function intend(id, values) {
  intended.set(id, { bookId: id, ...values });
  tell([id], false);
}

/** The command was refused: the book is what it was. */
export function withdraw(id) {
  if (intended.delete(id)) tell([id], false);
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
