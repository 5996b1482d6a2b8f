// Talking to the server: one way to ask, and one shape for everything that can go wrong.
import { authorization, loginAgain } from "./login.js";
import { Problem } from "./problem.js";
import { language, t } from "./words.js";

/** How long an answer may take, unless its asker waits longer. */
const PATIENCE_MS = 12_000;

const listeners = new Set();

/** Tells `listener(path, answer | problem)` how every request ended. */
export function overhear(listener) { listeners.add(listener); }

/** Asks, and returns `{status, body, headers}`; throws a Problem. An abort by the asker is thrown as it is. */
export async function ask(path, options = {}) {
  const { method = "GET", body, headers = {}, signal, patience = PATIENCE_MS, quietly = false } = options;
  const pass = authorization();
  const late = AbortSignal.timeout(patience);
  const outcome = (result) => {
    if (!quietly) for (const listener of listeners) listener(path, result);
    return result;
  };
  try {
    const response = await fetch(path, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { Accept: "application/hal+json, application/json, application/problem+json", "Accept-Language": language(), ...pass, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      signal: signal ? AbortSignal.any([signal, late]) : late,
      cache: "no-store",
    });
    const text = await response.text();
    if (response.status === 401) {
      await loginAgain(problem(response, text), pass);
      return ask(path, options);
    }
    if (!response.ok) throw problem(response, text);
    return outcome({ status: response.status, body: parsed(text), headers: response.headers });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw outcome(error instanceof Problem ? error : unreachable());
  }
}

/** A problem document, also of an answer that has none, such as a gateway's own. */
export function problem(response, text) {
  const document = parsed(text) ?? {};
  return new Problem({
    status: response.status,
    name: String(document.type ?? "").split(":").pop(),
    title: document.title ?? t("oddAnswer", { status: String(response.status) }),
    detail: document.detail,
    field: document.field ?? document.parameter ?? null,
    retryAfter: Number(response.headers.get("Retry-After")) || null,
    body: document,
  });
}

export const unreachable = () => new Problem({ name: "unreachable", title: t("unreachable"), detail: t("unreachableText") });

function parsed(text) {
  try { return JSON.parse(text); } catch { return null; }
}

/** A moment of an address as the server takes it for `asOf`, `{position}` or `{time}`; null if it is neither. */
export function momentOf(text) {
  if (/^\d+$/.test(text)) return { position: text };
  // A plus of an offset is read as a space when nobody has encoded it.
  const time = text.replace(" ", "+");
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(time) && !Number.isNaN(Date.parse(time));
  return isTime ? { time } : null;
}

/** A key that names one intention, however often it is sent. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
