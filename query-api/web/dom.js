// Making elements. Text goes in as text, never as markup: a book may be called anything.

/** The element `tag.class.class` with attributes (functions become listeners) and children (strings become text). */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElement(name || "div"), classes, attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), classes, attributes, children);
}

function filled(element, classes, attributes, children) {
  if (classes.length > 0) element.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const STROKES = {
  search: ["M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm5 12 4 4"],
  sun: ["M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M18.4 5.6l-1.1 1.1M6.7 17.3l-1.1 1.1"],
  moon: ["M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"],
  screen: ["M4 5h16v11H4zM9 20h6M12 16v4"],
  inbox: ["M4 13v6h16v-6l-3-8H7zM4 13h5a3 3 0 0 0 6 0h5"],
  clock: ["M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 8v4l3 2"],
};

/** A small drawing that says nothing a word beside it does not say. */
export function icon(name) {
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-linecap": "round", "stroke-linejoin": "round" };
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, STROKES[name].map((d) => svg("path", { d, ...line })));
}

/** Says something in passing, also to those who hear the page. */
export function toast(text, lamp = "") {
  const note = h("p.toast", {}, h(`span.lamp${lamp && `.${lamp}`}`), h("span", {}, text));
  document.querySelector(".toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

/** Shows that this has just changed. */
export function pulse(element) {
  element.classList.remove("pulse");
  void element.offsetWidth;
  element.classList.add("pulse");
  element.addEventListener("animationend", () => element.classList.remove("pulse"), { once: true });
}

/** Runs `work` once, `ms` after the last call. */
export function settled(work, ms) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), ms);
  };
}

/** Runs `work` within `ms` of a call, and once for all calls until then: also where they never cease. */
export function paced(work, ms) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      work();
    }, ms);
  };
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What was chosen here stays chosen. */
export const remembered = {
  get(name) { try { return localStorage.getItem(`bookstock.${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`bookstock.${name}`, value); } catch { /* a private window */ } },
};
