// The status corner and the notice: what works, how fresh the page is, and one sentence when something is missing.
import { own } from "./books.js";
import { behind, complaint, health, isProjecting, onHealth } from "./health.js";
import { h } from "./dom.js";
import { clock, decimal, lasting, minute, number, t } from "./words.js";

/** The corner's button with its panel, and the notice above the views; `close()` when another takes its place. */
export function statusCorner() {
  const lamp = h("span.lamp");
  const word = h("span");
  const button = h("button.button.plain", { type: "button", popovertarget: "status", "aria-label": t("status"), "data-status": true }, lamp, word);
  const panel = h("section.status", { id: "status", popover: "auto", "aria-label": t("status") });
  const sentence = h("p");
  const noticeLamp = h("span.lamp");
  const notice = h("div.notice", { role: "alert", hidden: true }, noticeLamp, sentence);

  function show() {
    const missing = complaint();
    const isAway = missing === "n_away" || missing === "n_both";
    const [text, shape] = summary(missing);
    lamp.className = `lamp ${shape}`;
    word.textContent = text;
    button.dataset.state = missing ?? health.live;
    button.setAttribute("aria-label", `${t("status")}: ${text}`);
    notice.hidden = missing === null;
    notice.classList.toggle("bad", isAway);
    noticeLamp.className = `lamp ${isAway ? "bad" : "low"}`;
    const told = missing === null ? "" : t(missing, { when: clock(health.staleSince ?? health.since ?? Date.now()), ago: lasting(behind() ?? 0) });
    if (sentence.textContent !== told) sentence.textContent = told;
    fill(panel);
  }
  const close = onHealth(show);
  show();
  return { button, panel, notice, close };
}

function summary(missing) {
  if (missing === "n_away") return [t("s_away"), "bad"];
  if (health.staleSince !== null) return [t("s_stale", { when: minute(health.staleSince) }), "low"];
  if (missing === "n_stopped") return [t("s_stopped"), "low"];
  if (missing === "n_behind") return [t("s_behind", { ago: lasting(behind(), "short") }), "low"];
  if (missing !== null) return [t("s_part"), "low"];
  return { live: [t("s_live"), ""], polling: [t("s_polling"), ""], starting: [t("s_starting"), "off"] }[health.live] ?? [t("s_away"), "bad"];
}

function fill(panel) {
  const { services, reachable, position, ageMs, parked } = health;
  const seconds = Math.round((ageMs ?? 0) / 1000);
  const facts = [
    [t("updates"), updates()],
    [t("age"), health.staleSince !== null ? t("s_stale", { when: clock(health.staleSince) }) : seconds < 2 ? t("ageNow") : t("ageOf", { s: seconds })],
    [t("lag"), lag()],
    [t("position"), position ?? "–"],
    own.lagMs === null ? null : [t("ownLag"), t("ownLagOf", { s: decimal(own.lagMs / 1000) })],
    parked > 0 ? [t("parked"), number(parked)] : null,
  ].filter(Boolean);
  const known = { ...services, projector: isProjecting() };
  const names = ["query-api", "command-api", "projector"].filter((name) => name in known);
  panel.replaceChildren(
    h("h2", {}, t("status")), h("h3", {}, t("views")), h("dl", {}, facts.flatMap(([term, text]) => [h("dt", {}, term), h("dd.number", {}, text)])),
    h("h3", {}, t("services")), h("ul", {}, names.map((name) => standing(name, reachable ? known[name] : undefined))));
}

/** How what changes comes here. A connection that stands says nothing where nothing new can come. */
function updates() {
  if (health.live === "live" && (health.staleSince !== null || isProjecting() === false)) return t("s_idle");
  return t({ live: "s_live", polling: "s_polling", away: "s_away" }[health.live] ?? "s_starting");
}

/** How far the list is behind what was booked, in words. */
function lag() {
  const { since, behindSeconds, behindEvents } = health.projection;
  if (isProjecting() === false) return since === null ? t("s_stopped") : t("stoppedSince", { when: clock(since) });
  if (behindSeconds === null || !health.reachable) return t("unknownState");
  if (behind() === null) return t("lagNone");
  const ago = lasting(behindSeconds);
  return behindEvents === null ? t("s_behind", { ago }) : t("lagOf", { ago, n: behindEvents });
}

function standing(name, isUp) {
  const isReading = name === "query-api" && health.reading;
  const [word, shape] = isUp === undefined ? ["unknownState", ".off"] : isUp ? ["up", ""] : isReading ? ["fromMemory", ".low"] : ["down", ".bad"];
  return h("li", { "data-service": name, "data-up": String(isUp) }, h(`span.lamp${shape}`), h("span", {}, t(name)), h("span.quiet", {}, t(word)));
}
