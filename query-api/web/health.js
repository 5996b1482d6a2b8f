// What works and what does not, from what every answer says by the way and from the services' own words.
import { ask, overhear } from "./api.js";
import { onLive } from "./live.js";

const OFTEN_MS = 2_000;
const SELDOM_MS = 6_000;

/** `services`: by name, true, false or nothing known; `since`: when what is shown was last seen to be fresh. */
export const health = { live: "starting", reachable: true, reading: true, staleSince: null, since: null, position: null, ageMs: null, status: null, services: {} };

const watchers = new Set();
export function onHealth(watcher) { watchers.add(watcher); }

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
  if (path.startsWith("/books") && !path.includes("ings") && !path.endsWith("/corrections") && !path.endsWith("/renewals")) {
    if (failed && result.passes) health.reading = false;
    if (!failed) {
      const { headers } = result;
      const age = Number(headers.get("Bookstock-Age-Ms") ?? 0);
      const isStale = headers.get("Bookstock-Stale") === "true";
      health.reading = true;
      health.position = headers.get("Bookstock-Position") ?? health.position;
      health.ageMs = age;
      health.staleSince = isStale ? health.staleSince ?? Date.now() - age : null;
      if (!isStale) health.since = Date.now();
    }
  }
  tell();
});

/** Which single sentence tells best what is missing now; null if nothing is. */
export function complaint() {
  const { services, reachable, reading, staleSince } = health;
  if (!reachable) return "n_away";
  const commandsOut = services["command-api"] === false;
  if (!reading) return commandsOut ? "n_both" : "n_query";
  if (staleSince !== null) return commandsOut ? "n_both" : "n_stale";
  if (commandsOut) return "n_command";
  return services.projector === false ? "n_projector" : null;
}

async function look() {
  try {
    take((await ask("/readyz")).body);
  } catch (problem) {
    if (problem.status === 503) take(problem.body);
  }
  try {
    health.status = (await ask("/status", { quietly: true })).body;
  } catch { health.status = null; }
  tell();
}

function take(answer) {
  for (const [name, check] of Object.entries(answer?.checks ?? {})) health.services[name] = check.ready;
}

/** Looks again and again, more often while something is missing. */
export async function keepLooking() {
  for (;;) {
    await look();
    await new Promise((resolve) => { setTimeout(resolve, complaint() ? OFTEN_MS : SELDOM_MS); });
    while (document.hidden) await new Promise((resolve) => { setTimeout(resolve, 500); });
  }
}
