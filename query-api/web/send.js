// Sending the rows of a receiving list: `POST /warehousings` books some hundred in one request and tells the result of
// each while it goes. Each row has the key of its line, so that a list which was sent before, here or by
// `bookstock receive`, or broke off, is booked once.
import { problem, unreachable } from "./api.js";
import { sleep } from "./dom.js";
import { authorization, renewed } from "./login.js";
import { Problem } from "./problem.js";
import { language, t } from "./words.js";

/** So many rows are sent in one request: enough to be fast, and few to be asked about again when it breaks off. */
const ROWS_AT_ONCE = 500;

/** Sends `rows` until all are answered or `signal` stops it; `tell(problem | null)` says how it goes. */
export async function sendRows(rows, signal, tell) {
  let pause = 500;
  for (let open = rows; open.length > 0 && !signal.aborted; open = rows.filter((row) => row.state === "ready")) {
    const some = open.slice(0, ROWS_AT_ONCE);
    for (const row of some) row.state = "sending";
    const trouble = await sendSome(some, signal, tell).catch((error) => (error instanceof Problem ? error : unreachable()));
    // What has no answer may have been booked; sent again under the same key it is answered.
    for (const row of some) if (row.state === "sending") row.state = "ready";
    if (trouble?.status === 401 && (await renewed())) continue;
    // Who has to log in first goes on with what is left.
    if (signal.aborted || trouble?.status === 401) {
      tell(trouble);
      break;
    }
    if (trouble && !trouble.passes) {
      for (const row of some) if (row.state === "ready") refuse(row, trouble.title, trouble.detail);
    }
    tell(trouble);
    if (!trouble) pause = 500;
    else if (trouble.passes) {
      await sleep(pause);
      pause = Math.min(5_000, pause * 2);
    }
  }
}

/** One request; returns the trouble that leaves rows unanswered, if there is any. */
async function sendSome(rows, signal, tell) {
  const response = await fetch("/warehousings", {
    method: "POST",
    body: rows.map(command).join("\n"),
    headers: { "Content-Type": "application/x-ndjson", Accept: "application/x-ndjson, application/problem+json", "Accept-Language": language(), ...authorization() },
    signal,
  });
  if (!response.ok) throw problem(response, await response.text());
  let trouble = null;
  for await (const { row, status, replayed, answer, problem: refusal } of lines(response.body)) {
    const mine = rows[row - 1];
    if (answer) Object.assign(mine, { state: replayed ? "repeated" : "booked", note: answer.stock });
    // Only an operator can mend the history of its book: to wait for that is not for a page.
    else if (/:(stream-unreadable|book-deleted)$/.test(refusal.type)) Object.assign(mine, { state: "unreadable", note: t("mayBeBooked", { why: refusal.title }) });
    else if (status < 500 && status !== 429) refuse(mine, refusal.title, refusal.detail);
    else trouble = new Problem({ status, title: refusal.title, detail: refusal.detail });
    tell(trouble);
  }
  return trouble ?? (rows.some((row) => row.state === "sending") ? unreachable() : null);
}

function command({ bookId, qty, name, version, key }) {
  return JSON.stringify({ bookId, qty: Number(qty), name: name || undefined, version: version || undefined, idempotencyKey: key });
}

function refuse(row, ...words) {
  Object.assign(row, { state: "refused", note: words.filter(Boolean).join(": ") });
}

/** The lines of NDJSON as they come. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    const texts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : texts.pop();
    for (const text of texts) if (text !== "") yield JSON.parse(text);
    if (done) return;
  }
}
