// Before the first paint: the theme and the language that were chosen here, so that nothing flashes.
(() => {
  const remembered = (name) => {
    try { return localStorage.getItem(`bookstock.${name}`); } catch { return null; }
  };
  const root = document.documentElement;
  const theme = remembered("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const language = remembered("language") ?? navigator.languages.find((tag) => /^(ko|en)\b/i.test(tag)) ?? "en";
  root.lang = /^ko/i.test(language) ? "ko" : "en";
})();
