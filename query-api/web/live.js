// What changes while one looks: server-sent events, read with fetch so that a refusal can be told from an outage.
// Where the server has none, the list is looked at again every few seconds.
import { ask, overhear, problem } from "./api.js";
import { authorization, loginAgain } from "./login.js";
import { learn, madeAnew } from "./books.js";
import { sleep } from "./dom.js";

/** Longer than any pause between two heartbeats. */
const SILENCE_MS = 45_000;
const POLL_MS = 3_000;

/** So long a page that nobody sees goes on to listen. Over HTTP/1.1 all tabs of a browser share six connections to a server. */
const UNSEEN_MS = 4_000;

const listeners = new Set();
const onlookers = new Set();
let position = null;
/** Of which making of the rows `position` is. */
let made = null;
let state = "starting";
let following = false;

/** Calls `listener(anew)` when any book may differ from what is known: all were made anew, or nobody tells of changes. */
export function heard(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Calls `listener(state)` with `live`, `polling` or `away`. */
export function onLive(listener) { onlookers.add(listener); }

function become(next) {
  if (state === next) return;
  state = next;
  for (const listener of onlookers) listener(next);
}

/** Begins to follow, from the position of what is shown. */
export function followFrom(shown) {
  if (following || shown === null) return;
  following = true;
  position = shown;
  follow();
}

/** Waits until this page is seen. */
function seen() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/** Calls `end` when this page has not been seen for a while; returns what calls that off. */
function whenUnseen(end) {
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(end, UNSEEN_MS);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

async function follow() {
  for (let failures = 0; ; ) {
    await seen();
    const silence = new AbortController();
    const callOff = whenUnseen(() => silence.abort());
    try {
      const pass = authorization();
      const headers = { Accept: "text/event-stream", "Last-Event-ID": position, ...pass };
      const response = await fetch("/books/changes", { headers, signal: silence.signal, cache: "no-store" });
      if (response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        failures = 0;
        become("live");
        await read(response.body, silence);
      } else if (response.status === 404 || response.status === 406) {
        become("polling");
        for (const listener of listeners) listener(false);
        await sleep(POLL_MS);
        continue;
      } else if (response.status === 401) await loginAgain(problem(response, await response.text()), pass);
    } catch { /* it ended; the next one resumes where it did */ } finally { callOff(); }
    silence.abort();
    if (document.hidden) continue;
    failures += 1;
    if (failures > 1) become("away");
    await sleep(Math.min(8_000, 400 * 2 ** failures));
  }
}

async function read(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let timer;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = events.pop();
      events.forEach(take);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** One event: its `id` is where to resume, its `data` the latest state of the books that changed. */
function take(text) {
  const lines = text.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
  const data = lines.filter(([, field]) => field === "data").map(([, , value]) => value).join("\n");
  const id = lines.findLast(([, field]) => field === "id")?.[2];
  if (data !== "") {
    let message = {};
    try { message = JSON.parse(data); } catch { /* not one of ours */ }
    const { books = [], generation, refolds } = message;
    const making = generation === undefined ? made : `${generation}.${refolds}`;
    const isReset = made !== null && making !== made;
    made = making;
    if (isReset) madeAnew();
    learn(books);
    if (isReset) for (const listener of listeners) listener(true);
  }
  if (id !== undefined) position = id;
}

/** Looks at one book again, for who shows a single one while there are no events. */
export async function lookAt(id) {
  const { body, headers } = await ask(`/books/${id}`);
  learn([body]);
  followFrom(headers.get("Bookstock-Position"));
  return body;
}

overhear((path, result) => {
  if (result instanceof Error && result.name === "unreachable" && path.startsWith("/books")) become("away");
});
