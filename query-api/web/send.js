// Sending the rows of a receiving list: several at once, those of one book in their order, each under the key of its line,
// so that a list which was sent before, here or by `bookstock receive`, is booked once.
import { ask } from "./api.js";
import { sleep } from "./dom.js";

/** A browser opens six connections to a server; the live updates have one, and looking has to go on. */
const LANES = 4;

/** Sends `rows` until all are answered or `signal` stops it; `tell(problem | null)` says what it waits for. */
export async function sendRows(rows, signal, tell) {
  const lanes = Array.from({ length: LANES }, () => []);
  for (const row of rows) lanes[Number(row.bookId) % LANES].push(row);
  await Promise.all(lanes.map((lane) => sendLane(lane, signal, tell)));
}

async function sendLane(lane, signal, tell) {
  for (const row of lane) {
    if (signal.aborted) return;
    await sendRow(row, signal, tell);
  }
}

async function sendRow(row, signal, tell) {
  row.state = "sending";
  const { bookId, qty, name, version } = row;
  const body = { qty: Number(qty), ...(name ? { name } : {}), ...(version ? { version } : {}) };
  for (let pause = 500; ; pause = Math.min(5_000, pause * 2)) {
    try {
      const answer = await ask(`/books/${bookId}/warehousings`, { method: "POST", body, headers: { "Idempotency-Key": row.key } });
      row.state = answer.headers.get("Idempotency-Replayed") === "true" ? "repeated" : "booked";
      row.note = answer.body.stock;
      tell(null);
      return;
    } catch (problem) {
      if (!problem.passes) {
        row.state = "refused";
        row.note = [problem.title, problem.detail].filter(Boolean).join(": ");
        tell(null);
        return;
      }
      tell(problem);
      if (signal.aborted) {
        // It may have been booked; going on sends it again under the same key.
        row.state = "ready";
        return;
      }
      await sleep(pause);
      if (signal.aborted) {
        row.state = "ready";
        return;
      }
    }
  }
}
