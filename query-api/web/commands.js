// Warehousing, renewal, correction: one dialog, three small forms. A form is one intention with one key: however often
// it is sent, it is booked once.
import { ask, newKey } from "./api.js";
import { book as bookOf, booked, intend, learn, watch, withdraw } from "./books.js";
import { h, settled, toast } from "./dom.js";
import { edition, number, shortTitleOf, signed, t, titleOf } from "./words.js";

const MAX_QTY = 1_000_000;
const MAX_DELTA = 1_000_000_000;
const MAX_ID = 2 ** 53 - 1;

/** Each kind of command: its fields, what it would lead to, its body and what is said when it is booked. */
const KINDS = {
  warehouse: {
    path: "warehousings",
    fields: (book) => [
      !book && { name: "bookId", label: "bookId", numeric: true, check: (text) => wholeBetween(text, 1, MAX_ID) },
      { name: "qty", label: "qty", numeric: true, check: (text) => wholeBetween(text, 1, MAX_QTY) },
      { name: "name", label: "newName", optional: true, hint: book?.name ? t("keepsName") : "", placeholder: book?.name ?? "", maxlength: 500 },
    ],
    body: ({ qty, name }) => ({ qty: Number(qty), ...(name ? { name } : {}) }),
    becomes: (book, { qty, name }) => ({ version: book?.version ?? 1, name: name || (book?.name ?? null), stock: (book?.stock ?? 0) + Number(qty) }),
    said: (answer, { qty }) => t("bookedWarehouse", { name: shortTitleOf(answer), qty: Number(qty), stock: answer.stock }),
  },
  renew: {
    path: "renewals",
    fields: (book) => [{ name: "version", label: "newVersion", numeric: true, optional: true, placeholder: edition(nextEdition(book)), hint: t("versionHint", { v: edition(book.version), next: edition(nextEdition(book)) }), check: (text) => (/^\d{1,10}(\.\d{1,2})?$/.test(text) ? "" : t("editionForm")) }],
    body: ({ version }) => (version ? { version } : {}),
    becomes: (book, { version }) => ({ name: book.name, version: Number(version || nextEdition(book)), stock: 100 }),
    said: (answer) => t("bookedRenew", { name: shortTitleOf(answer), v: edition(answer.version), stock: answer.stock }),
  },
  correct: {
    path: "corrections",
    fields: (book) => [
      { name: "qtyDelta", label: "delta", signed: true, hint: t("deltaHint"), check: deltaOf },
      { name: "reason", label: "reason", maxlength: 500, choices: t("reasons").split(",") },
    ],
    body: ({ qtyDelta, reason }) => ({ qtyDelta: Number(qtyDelta), reason }),
    becomes: (book, { qtyDelta }) => ({ name: book.name, version: book.version, stock: book.stock + Number(qtyDelta) }),
    said: (answer, { qtyDelta }) => t("bookedCorrect", { name: shortTitleOf(answer), qty: signed(Number(qtyDelta)), stock: answer.stock }),
  },
};

const nextEdition = (book) => Math.floor(book.version) + 1;

function wholeBetween(text, min, max) {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= min && value <= max ? "" : t("whole", { min, max });
}

function deltaOf(text, book) {
  const delta = Number(text);
  if (!/^[+-]?\d+$/.test(text) || delta === 0) return t("notZero");
  if (Math.abs(delta) > MAX_DELTA) return t("whole", { min: -MAX_DELTA, max: MAX_DELTA });
  return book.stock + delta < 0 ? t("belowZero", { n: book.stock + delta, stock: book.stock }) : "";
}

/** What people type for digits and a minus, as the server reads it. */
const typed = (text) => text.trim().normalize("NFKC").replace(/[−–]/g, "-").replace(/(?<=\d),(?=\d{3}\b)/g, "");

/** Opens the form for one command on `book`; without one, for a book whose number is asked for, or may be this `id`. */
export function act(name, book, id = null) {
  const kind = KINDS[name];
  const fields = kind.fields(book).filter(Boolean);
  const wrong = h("div.form-wrong", { role: "alert", hidden: true });
  const outcome = h("output.outcome", { hidden: true });
  const sendButton = h("button.button.main", { type: "submit" }, t(name));
  const cancelButton = h("button.button.plain", { type: "button", onclick: () => dialog.close() }, t("cancel"));
  const inputs = Object.fromEntries(fields.map((field) => [field.name, inputOf(field)]));
  const form = h("form", { novalidate: true, onsubmit: submit, oninput: retyped },
    h("header", {}, h("h2", { id: "command-title" }, t(`${name}Title`)), book ? h("p", { title: titleOf(book) }, `${shortTitleOf(book)} · ${t("edition", { v: edition(book.version) })}`) : null),
    wrong, fields.map((field) => fieldOf(field, inputs[field.name])), outcome, h("div.decide", {}, cancelButton, sendButton));
  const dialog = h("dialog", { "aria-labelledby": "command-title", "data-command": name, oncancel: (event) => { if (isSending) event.preventDefault(); }, onclose: closed }, form);
  let key = newKey();
  let isSending = false;
  let isUncertain = false;
  // The number that was asked for last, and the one of which the server said that there is no such book.
  let lookedUp;
  let absent;
  // For a book that nobody has scrolled to yet.
  const lookUp = settled(() => { if (dialog.open && idOf() !== null) refresh(idOf()); }, 200);
  const unwatch = watch((ids) => { if (ids.includes(idOf())) preview(); });
  document.body.append(dialog);
  dialog.showModal();
  if (id !== null) inputs.bookId.value = String(id);
  Object.values(inputs).find((input) => input.value === "").focus();
  preview();

  function values() {
    return Object.fromEntries(Object.entries(inputs).map(([field, input]) => [field, field === "name" || field === "reason" ? input.value.trim() : typed(input.value)]));
  }

  /** The number of the book that this is for; null while none is typed. */
  function idOf() {
    if (book) return book.bookId;
    const text = typed(inputs.bookId.value);
    return wholeBetween(text, 1, MAX_ID) === "" ? Number(text) : null;
  }

  /** That book as it is now, also while the form is open; nothing if it is not known here. */
  function subject() {
    return bookOf(idOf()) ?? book ?? undefined;
  }

  /** What is wrong with each field, as far as that can be known here. */
  function faults() {
    const given = values();
    const entries = fields.map((field) => [field.name, given[field.name] === "" ? (field.optional ? "" : t("needed")) : field.check?.(given[field.name], subject()) ?? ""]);
    return entries.filter(([, fault]) => fault !== "");
  }

  /** What is typed anew is not wrong any more until it is sent. */
  function retyped() {
    for (const input of Object.values(inputs)) if (input.getAttribute("aria-invalid") === "true") tellField(input, "");
    preview();
  }

  function preview() {
    // What is on its way, and may be in the stock already, is not added to it once more.
    if (isSending || isUncertain) return;
    const from = subject();
    const id = idOf();
    if (!from && id !== null && id !== lookedUp) {
      lookedUp = id;
      lookUp();
    }
    if (!book) tellTitle(from);
    const to = isTold() && faults().length === 0 ? kind.becomes(from, values()).stock : null;
    outcome.hidden = id === null;
    outcome.replaceChildren(h("span.quiet", {}, t("inStock")), h("span.number", {}, isTold() ? number(from?.stock ?? 0) : "…"), h("span.arrow", { "aria-hidden": "true" }, "→"), h("b.number", {}, to === null ? "…" : number(to)));
  }

  /** Whether it is known what the command is going to change: a book, or that there is none yet. */
  function isTold() {
    return subject() !== undefined || absent === idOf();
  }

  /** Which book it is whose number was typed. */
  function tellTitle(from) {
    inputs.name.placeholder = from?.name ?? "";
    document.getElementById(`${inputs.name.id}-hint`).textContent = from?.name ? t("keepsName") : "";
  }

  function tellField(input, text) {
    const place = document.getElementById(`${input.id}-wrong`);
    place.textContent = text;
    input.setAttribute("aria-invalid", String(text !== ""));
  }

  async function submit(event) {
    event.preventDefault();
    if (isSending) return;
    wrong.hidden = true;
    // What may be booked already is not measured by the stock again.
    const found = isUncertain ? [] : faults();
    for (const [field, fault] of found) tellField(inputs[field], fault);
    if (found.length > 0) {
      inputs[found[0][0]].focus();
      return;
    }
    const given = values();
    const id = idOf();
    setSending(true);
    if (!isUncertain && isTold()) intend(id, { ...kind.becomes(subject(), given), state: "sending" });
    try {
      const { body } = await ask(`/books/${id}/${kind.path}`, { method: "POST", body: kind.body(given), headers: { "Idempotency-Key": key } });
      dialog.close("booked");
      toast(kind.said(body, given));
      await booked(body);
    } catch (problem) {
      refused(problem, id);
    }
  }

  function refused(problem, id) {
    setSending(false);
    // That a request booked nothing says nothing of the one before it, whose answer got lost. Nor does a deleted history (410).
    isUncertain = Boolean(problem.isUncertain || (isUncertain && (problem.passes || problem.status === 410)));
    const input = inputs[problem.field] ?? null;
    // What is not known to be booked is not shown as booked; what was, shows up by itself.
    withdraw(id);
    if (isUncertain) {
      // The intention stays the same one: same fields, same key.
      for (const each of Object.values(inputs)) each.readOnly = true;
      wrong.replaceChildren(h("b", {}, t("unknownTitle")), t("unknownText"));
      sendButton.textContent = t("sendAgain");
      cancelButton.textContent = t("close");
      sendButton.focus();
    } else {
      for (const each of Object.values(inputs)) each.readOnly = false;
      // Nothing was booked; what is sent next is another intention.
      if (!problem.passes) key = newKey();
      sendButton.textContent = problem.passes ? t("sendAgain") : t(name);
      wrong.replaceChildren(h("b", {}, problem.title ?? String(problem)), problem.detail ?? "");
      if (input) {
        tellField(input, problem.detail);
        input.focus();
      }
    }
    wrong.hidden = input !== null && !isUncertain;
    if (problem.status === 409 || problem.status === 422) refresh(id);
  }

  /** A refusal often means that the book is not what was shown here. */
  async function refresh(id) {
    try { learn([(await ask(`/books/${id}`)).body]); } catch (problem) { if (problem.status === 404) absent = id; }
    preview();
  }

  /** A browser lets the second Esc through, whatever the page says. What is on its way needs its form: for its answer and its key. */
  function closed() {
    if (isSending && dialog.returnValue !== "booked") {
      dialog.showModal();
      return;
    }
    unwatch();
    dialog.remove();
  }

  function setSending(value) {
    isSending = value;
    sendButton.disabled = value;
    cancelButton.disabled = value;
    form.setAttribute("aria-busy", String(value));
    if (value) sendButton.textContent = t("sending");
  }
}

function inputOf({ name, numeric, signed: mayBeNegative, placeholder = "", maxlength = 24, optional }) {
  return h("input", { id: `field-${name}`, name, type: "text", inputmode: numeric ? "decimal" : mayBeNegative ? "text" : null, autocomplete: "off", placeholder, maxlength, "aria-required": String(!optional), "aria-invalid": "false", "aria-describedby": `field-${name}-wrong field-${name}-hint` });
}

function fieldOf({ name, label, optional, hint, choices }, input) {
  const choose = (text) => () => { input.value = text; input.dispatchEvent(new Event("input", { bubbles: true })); input.focus(); };
  return h("div.field", {},
    h("label", { for: input.id }, t(label), optional ? h("span", {}, ` (${t("optional")})`) : null), input,
    choices ? h("div.chips", {}, choices.map((text) => h("button.button", { type: "button", onclick: choose(text) }, text))) : null,
    h("p.hint", { id: `field-${name}-hint` }, hint ?? ""), h("p.wrong", { id: `field-${name}-wrong`, role: "alert" }));
}
