// The frame, and which view is in it. Addresses are fragments, so that the server has one page and every view a link:
// #/ the list, #/books/7 a book, #/receive a receiving list.
import { bookPage } from "./book.js";
import { act } from "./commands.js";
import { statusCorner } from "./corner.js";
import { h, icon, remembered } from "./dom.js";
import { keepLooking } from "./health.js";
import { lastList, list } from "./list.js";
import { enter, isLoggedIn, logOut } from "./login.js";
import { offerFile, receivePage } from "./receive.js";
import { language, speak, t } from "./words.js";

const THEMES = ["auto", "light", "dark"];
let leave = () => {};
let view = null;
let corner = null;

function frame() {
  corner?.close();
  corner = statusCorner();
  const themeButton = h("button.button.plain", { type: "button", "data-theme-switch": true, onclick: nextTheme });
  const languageButton = h("button.button.plain", { type: "button", lang: language() === "ko" ? "en" : "ko", "aria-label": t("language"), "data-language-switch": true, onclick: otherLanguage }, t("languageShort"));
  const logOutButton = isLoggedIn() ? h("button.button.plain", { type: "button", "data-log-out": true, onclick: logOut }, t("logOut")) : null;
  document.body.replaceChildren(
    h("header.bar", {}, h("a.brand", { href: "#/", "aria-label": "bookstock" }, h("img", { src: "/web/icon.svg", alt: "" }), h("span", {}, "bookstock")),
      h("nav", { "aria-label": "bookstock" }, h("a", { href: "#/", "data-nav": "list" }, t("books")), h("a", { href: "#/receive", "data-nav": "receive" }, t("receiving"))),
      h("div.corner", {}, corner.button, languageButton, themeButton, logOutButton)),
    corner.notice, h("main", { id: "main" }), corner.panel, h("div.toasts", { role: "status", "aria-live": "polite" }));
  // The rows of the frame's grid are fixed: a notice that is not there leaves an empty one.
  corner.notice.style.gridRow = "2";
  document.getElementById("main").style.gridRow = "3";
  showTheme(themeButton);
}

function showTheme(button) {
  const theme = remembered.get("theme") ?? "auto";
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const which = t({ auto: "themeAuto", light: "themeLight", dark: "themeDark" }[theme]);
  button.replaceChildren(icon({ auto: "screen", light: "sun", dark: "moon" }[theme]));
  button.setAttribute("aria-label", t("theme", { which }));
  button.title = t("theme", { which });
}

function nextTheme(event) {
  const theme = remembered.get("theme") ?? "auto";
  remembered.set("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  showTheme(event.currentTarget);
}

function otherLanguage() {
  speak(language() === "ko" ? "en" : "ko");
  frame();
  route();
  document.querySelector("[data-language-switch]").focus();
}

function route() {
  const [path, search = ""] = location.hash.slice(1).split("?");
  const parameters = new URLSearchParams(search);
  const id = /^\/books\/([1-9]\d{0,15})$/.exec(path)?.[1];
  const isList = path === "" || path === "/";
  leave();
  const name = id ? `${t("no")} ${id}` : t(path === "/receive" ? "receiving" : isList ? "books" : "noSuchPage");
  view = h("section.view", { tabindex: "-1", "aria-label": name });
  document.getElementById("main").replaceChildren(view);
  document.title = "bookstock";
  leave = id ? bookPage(view, parameters, Number(id)) : path === "/receive" ? receivePage(view) : isList ? list(view, parameters) : noPage(view, path);
  for (const link of document.querySelectorAll("[data-nav]")) {
    const isHere = link.dataset.nav === (path === "/receive" ? "receive" : isList || id ? "list" : null);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Where an address leads that nothing is at. */
function noPage(root, path) {
  root.append(h("div.nothing", { role: "alert" }, h("h2", {}, t("noSuchPage")), h("p", {}, t("noSuchPageText", { address: `#${path.slice(0, 100)}` })), h("a.button.main", { href: "#/" }, t("backToList"))));
  return () => {};
}

/** To the part of the new view that keys are for, so that a keyboard's user is not left behind. */
function focusView() {
  (view.querySelector(".rows") ?? view).focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) search.focus();
    else location.hash = lastList();
  } else if (event.key === "?") showKeys();
  else if (event.code === "KeyN") act("warehouse", null);
  else return;
  event.preventDefault();
});

function showKeys() {
  const keys = [["/", "k_search"], ["↑ ↓", "k_move"], ["Enter", "k_open"], ["W", "k_w"], ["R", "k_r"], ["C", "k_c"], ["N", "k_n"], ["Esc", "k_esc"], ["?", "k_help"]];
  const dialog = h("dialog", { "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("div.inside", {}, h("h2", { id: "keys-title" }, t("keys")), h("dl.keys-list", {}, keys.flatMap(([key, word]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, t(word))])),
      h("div.decide", {}, h("button.button.main", { type: "button", onclick: () => dialog.close() }, t("close")))));
  document.body.append(dialog);
  dialog.showModal();
}

// A file may be dropped anywhere; a browser would open it instead of this page.
let depth = 0;
for (const [type, step] of [["dragenter", 1], ["dragleave", -1], ["dragover", 0], ["drop", 0]]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    depth = type === "drop" ? 0 : depth + step;
    document.body.classList.toggle("dragging", depth > 0);
    if (type === "drop") {
      offerFile(event.dataTransfer.files[0]);
      if (location.hash === "#/receive") route();
      else location.hash = "#/receive";
    }
  });
}

window.addEventListener("hashchange", () => {
  route();
  focusView();
});

async function start() {
  try {
    await enter();
  } catch (problem) {
    showNoLogin(problem);
    return;
  }
  frame();
  route();
  keepLooking();
}

function showNoLogin(problem) {
  const again = h("button.button.main", { type: "button", onclick: () => location.reload() }, t("again"));
  document.getElementById("main").replaceChildren(h("section.view", {}, h("div.nothing", { role: "alert" }, h("h2", {}, problem.title), h("p", {}, problem.detail), again)));
}

frame();
start();
