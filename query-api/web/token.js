// Who asks, where the server wants to know: an access token of its issuer, kept for this tab only.
import { h } from "./dom.js";
import { t } from "./words.js";

const PLACE = "bookstock.token";

/** The header that says who asks, if that is known. */
export function authorization() {
  try {
    const token = sessionStorage.getItem(PLACE);
    return token ? { Authorization: `Bearer ${token}` } : {};
  } catch { return {}; }
}

/** Asks for a token, saying why the server wants one. */
export function askForToken(problem) {
  if (document.querySelector("[data-token]")) return;
  const input = h("input", { id: "field-token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const take = (event) => {
    event.preventDefault();
    try { sessionStorage.setItem(PLACE, input.value.trim().replace(/^Bearer /i, "")); } catch { /* asked again next time */ }
    location.reload();
  };
  const dialog = h("dialog", { "aria-labelledby": "token-title", "data-token": true, onclose: () => dialog.remove() },
    h("form", { onsubmit: take }, h("header", {}, h("h2", { id: "token-title" }, t("tokenTitle")), h("p", {}, problem.detail || problem.title)),
      h("div.field", {}, h("label", { for: "field-token" }, t("token")), input, h("p.hint", {}, t("tokenHint"))),
      h("div.decide", {}, h("button.button.main", { type: "submit" }, t("tokenUse")))));
  document.body.append(dialog);
  dialog.showModal();
}
