// Rows that exist only where one looks: ten thousand scroll like thirty.

/** More than this many pixels no browser scrolls. */
const TALLEST = 12_000_000;
const OVERSCAN = 6;

/** `make()` makes an empty row, `draw(row, index)` fills it, `seen(first, last)` tells what is looked at. */
export class Rows {
  constructor({ label, make, draw, seen = () => {} }) {
    // The height of a row is kept: to ask an element for its size between two changes has everything laid out anew.
    Object.assign(this, { make, draw, seen, count: 0, height: 52, shown: new Map(), spare: [] });
    this.element = document.createElement("div");
    this.element.className = "rows";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "rowgroup");
    this.element.setAttribute("aria-label", label);
    this.space = document.createElement("div");
    this.space.className = "space";
    this.space.setAttribute("role", "presentation");
    this.element.append(this.space);
    this.element.addEventListener("scroll", () => this.soon(), { passive: true });
    // In a frame of its own: what is drawn, or asked for then, may change the size of this again.
    this.resized = new ResizeObserver(() => {
      this.resizing ??= requestAnimationFrame(() => {
        this.resizing = null;
        this.all();
      });
    });
    this.resized.observe(this.element);
  }

  /** How many can be scrolled to. */
  get reachable() { return Math.min(this.count, Math.floor(TALLEST / this.height)); }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.look();
    });
  }

  /** Draws every row anew. */
  all() {
    this.height = this.element.clientWidth <= 640 ? 64 : 52;
    this.element.style.setProperty("--row-height", `${this.height}px`);
    this.space.style.height = `${this.reachable * this.height}px`;
    for (const [index, row] of [...this.shown]) {
      if (index >= this.reachable) this.drop(index);
      else row.style.transform = `translateY(${index * this.height}px)`;
    }
    this.redraw();
    this.look();
  }

  look() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - OVERSCAN);
    const last = Math.min(this.reachable - 1, Math.ceil((scrollTop + clientHeight) / this.height) + OVERSCAN);
    for (const index of [...this.shown.keys()]) if (index < first || index > last) this.drop(index);
    for (let index = last; index >= first; index -= 1) if (!this.shown.has(index)) this.show(index);
    if (last >= first) this.seen(first, last);
  }

  show(index) {
    const row = this.spare.pop() ?? this.make();
    row.hidden = false;
    // In the document, too, rows are in their order: who hears the page hears them so.
    this.space.insertBefore(row, this.shown.get(index + 1) ?? null);
    row.style.transform = `translateY(${index * this.height}px)`;
    row.setAttribute("aria-rowindex", index + 2);
    this.shown.set(index, row);
    this.draw(row, index);
  }

  drop(index) {
    const row = this.shown.get(index);
    row.hidden = true;
    row.classList.remove("pulse", "here");
    this.shown.delete(index);
    this.spare.push(row);
  }

  /** Draws again what is shown, in its place. */
  redraw() {
    for (const [index, row] of this.shown) this.draw(row, index);
  }

  /** Brings the row at `index` into sight, and returns it. */
  reveal(index) {
    const top = index * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.element.scrollTop = top + this.height - clientHeight;
    this.look();
    return this.shown.get(index);
  }

  close() { this.resized.disconnect(); }
}
