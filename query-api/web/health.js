// What works and what does not, from what every answer says by the way and from the services' own words.
import { ask, overhear } from "./api.js";
import { followFrom, onLive } from "./live.js";

const OFTEN_MS = 2_000;
const SELDOM_MS = 6_000;

/** Less than so many seconds behind is not worth a word. */
const BEHIND_S = 3;

/** What is known of the projection while nobody says anything of it. */
const UNTOLD = { running: null, since: null, behindSeconds: null, behindEvents: null };

/** `services`: by name, true, false or nothing known; `since`: when what is shown was last seen to be fresh. */
export const health = { live: "starting", reachable: true, reading: true, staleSince: null, awaited: null, since: null, position: null, ageMs: null, parked: 0, services: {}, projection: UNTOLD };

/** How many looks in a row found no projector: where one hands over to another, there is none for a moment. */
let stopped = 0;

/** Whether what is booked comes into the list: as the database says, or else the gateway; nothing if nobody says. */
export const isProjecting = () => (stopped === 1 ? undefined : health.projection.running ?? health.services.projector);

/** How many seconds the list is behind what was booked, where that is worth a word; else null. */
export const behind = () => (health.projection.behindSeconds >= BEHIND_S ? health.projection.behindSeconds : null);

const watchers = new Set();
export function onHealth(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function tell() {
  for (const watcher of watchers) watcher();
}

onLive((state) => {
  health.live = state;
  tell();
});

overhear((path, result) => {
  const failed = result instanceof Error;
  if (failed && result.status === 0) health.reachable = false;
  else health.reachable = true;
  // The past is in the database alone, and says nothing of what is read from memory.
  if (/^\/books(\/\d+)?($|\?)/.test(path) && !path.includes("asOf=")) {
    // Read models that are behind are read all the same; what was just booked is not in them yet.
    if (failed && result.name === "projection-behind") health.awaited = new URLSearchParams(path.split("?")[1]).get("minPosition");
    else if (failed && result.passes && result.name !== "stream-parked") health.reading = false;
    if (!failed) {
      const { headers } = result;
      const age = Number(headers.get("Bookstock-Age-Ms") ?? 0);
      const isStale = headers.get("Bookstock-Stale") === "true";
      health.reading = true;
      health.position = headers.get("Bookstock-Position") ?? health.position;
      if (health.awaited !== null && Number(health.position) >= Number(health.awaited)) health.awaited = null;
      health.ageMs = age;
      if (path.startsWith("/books?")) health.parked = Number(headers.get("Bookstock-Parked") ?? 0);
      health.staleSince = isStale ? health.staleSince ?? Date.now() - age : null;
      if (!isStale) health.since = Date.now();
    }
  }
  tell();
});

/** Which single sentence tells best what is missing now; null if nothing is. */
export function complaint() {
  const { services, reachable, reading, staleSince, awaited } = health;
  if (!reachable) return "n_away";
  const commandsOut = services["command-api"] === false;
  if (!reading) return commandsOut ? "n_both" : "n_query";
  if (staleSince !== null) return commandsOut ? "n_both" : "n_stale";
  if (commandsOut) return "n_command";
  if (isProjecting() === false) return "n_stopped";
  if (behind() !== null) return "n_behind";
  return awaited !== null ? "n_awaited" : null;
}

async function look() {
  try {
    const { body } = await ask("/readyz");
    // Ready is all of it, also where nothing is said of each.
    for (const name of ["query-api", "command-api", ...Object.keys(health.services)]) health.services[name] = true;
    take(body);
  } catch (problem) {
    if (problem.status === 503) take(problem.body);
  }
  // A server of an earlier version says nothing of it.
  health.projection = await ask("/status").then(({ body }) => body?.projection ?? UNTOLD, () => UNTOLD);
  stopped = health.projection.running === false ? stopped + 1 : 0;
  tell();
  // A list that nobody scrolls asks for nothing; the smallest question tells how fresh an answer is.
  try {
    const { headers } = await ask("/books?size=1");
    followFrom(headers.get("Bookstock-Position"));
  } catch { /* it was overheard */ }
}

function take(answer) {
  for (const [name, check] of Object.entries(answer?.checks ?? {})) health.services[name] = check.ready;
}

/** Looks again and again, more often while something is missing. */
export async function keepLooking() {
  for (;;) {
    await look();
    await new Promise((resolve) => { setTimeout(resolve, complaint() || stopped > 0 ? OFTEN_MS : SELDOM_MS); });
    while (document.hidden) await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
}
