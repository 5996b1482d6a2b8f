// The history of a book as a table; each row opens to the whole event.
import { h } from "./dom.js";
import { edition, exactly, moment, number, t } from "./words.js";
import { changeText } from "./why.js";

/** The newest row is the first. `choose(index)` is called for the row that is looked at; `opened` keeps which are open. */
export function historyTable(movements, { choose, opened, older }) {
  const rows = movements.map((movement, index) => row(movement, movements[index - 1], opened, () => choose(index)));
  const head = ["when", "what", "change", "after"].map((key) => h(`th${key === "change" || key === "after" ? ".end" : ""}`, { scope: "col", role: "columnheader" }, t(key)));
  const body = h("tbody", { role: "rowgroup" }, rows.toReversed());
  movements.forEach((movement, index) => { if (opened.has(movement.revision)) rows[index].after(wholeEvent(movement)); });
  const count = h("span.quiet");
  const more = older ? h("button.button", { type: "button", "data-key": "older", onclick: () => { more.disabled = true; older(); } }, t("olderOnes")) : null;
  const element = h("section.card", { "aria-labelledby": "history-title" }, h("header", {}, h("h2", { id: "history-title" }, t("history")), count),
    // The roles hold, too, where a phone shows the rows as lines of their own.
    h("div.scrolls", {}, h("table.history", { role: "table", "aria-labelledby": "history-title" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head, h("th.wide", { scope: "col", role: "columnheader" }, t("details")), h("th", { role: "columnheader" }, h("span.for-readers", {}, t("more"))))), body)), more);
  return {
    element,
    choose(index, isNow) {
      count.textContent = number(movements[index].revision + 1);
      rows.forEach((each, at) => {
        each.classList.toggle("chosen", at === index && !isNow);
        // What came later was not there yet.
        each.hidden = at > index;
        if (each.nextElementSibling?.classList.contains("event")) each.nextElementSibling.hidden = each.hidden;
        if (at === index && !isNow) each.setAttribute("aria-current", "true");
        else each.removeAttribute("aria-current");
      });
    },
  };
}

function row(movement, before, opened, onclick) {
  const what = movement.type === "Renewed" ? ` ${t("edition", { v: edition(movement.version) })}` : "";
  const isTitled = movement.name && movement.name !== before?.name && movement.type === "Warehoused";
  // What it is stands beside it: a phone shows no heads.
  const note = movement.reason ? `${t("reason")}: ${movement.reason}` : isTitled ? `${t("name")}: ${movement.name}` : "";
  const isSkipped = movement.type === "Skipped";
  const more = h("button.more", { type: "button", "data-key": `more-${movement.revision}`, "aria-expanded": String(opened.has(movement.revision)), "aria-label": `${t("more")}, ${t("revision")} ${movement.revision}`, onclick: (event) => { event.stopPropagation(); open(); } }, "⋯");
  const cell = { role: "cell" };
  const element = h(`tr.${movement.type}`, { role: "row", "data-revision": movement.revision, onclick },
    h("td.number.when", cell, moment(movement.occurredAt)), h("td.kind", cell, t(movement.type) + what), h("td.end.number.change", cell, movement.type === "Renewed" ? `→ ${number(movement.stock)}` : isSkipped ? "–" : changeText(movement, before)),
    h("td.end.number.after", cell, h("b", {}, number(movement.stock))), h("td.wide", cell, note), h("td.end", cell, more));
  return element;

  function open() {
    const isOpen = more.getAttribute("aria-expanded") === "true";
    more.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) {
      opened.delete(movement.revision);
      element.nextElementSibling.remove();
    } else {
      opened.add(movement.revision);
      element.after(wholeEvent(movement));
    }
  }
}

function wholeEvent(movement) {
  return h("tr.event", { role: "row" }, h("td", { colspan: "6", role: "cell" }, h("dl", {}, facts(movement).flatMap(([term, text]) => [h("dt", {}, term), h("dd.number", {}, text)]))));
}

function facts(movement) {
  const { type, revision, position, occurredAt, qty, version, name, stock, reason, actor, correlationId } = movement;
  return [
    [t("what"), type], [t("when"), `${exactly(occurredAt)} · ${occurredAt}`], [t("revision"), number(revision)], [t("position"), String(position)],
    qty === undefined || qty === null ? null : [t("change"), String(qty)], [t("after"), number(stock)], [t("version"), edition(version)], name ? [t("name"), name] : null,
    reason ? [t("reason"), reason] : null, actor ? [t("actor"), actor] : null, correlationId ? [t("correlationId"), correlationId] : null,
  ].filter(Boolean);
}
