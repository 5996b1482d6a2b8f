// Reading a receiving list as Excel and others write it: any of three encodings, any of three separators, quotes.
import { sha256 } from "./sha256.js";
import { t } from "./words.js";

export const MOST_BYTES = 16 * 1024 * 1024;

/** How many rows of one book a list may have: a key is recognised among the book's last 1,000 events. */
const ROWS_OF_A_BOOK = 1_000;

const COLUMNS = {
  bookId: ["bookid", "book_id", "도서번호", "책번호"],
  qty: ["qty", "quantity", "copies", "수량", "입고수량"],
  name: ["name", "title", "제목", "도서명", "책이름"],
  version: ["version", "edition", "판"],
};

/** What is wrong with the whole file, in the words of the page. */
export class NotAList extends Error {}

/** The rows of a file, each `{line, bookId, qty, name, version, cells, fault, key}`; `fault` says why it cannot be sent. */
export function readList(bytes) {
  if (bytes.length > MOST_BYTES) throw new NotAList(t("tooLarge", { n: MOST_BYTES / 1024 / 1024 }));
  const { text, encoding } = decoded(bytes);
  if (text.trim() === "") throw new NotAList(t("emptyFile"));
  const records = split(text, separator(text));
  const { cells: header = [], badQuote: why } = records.shift() ?? {};
  const isText = !/[\u0000-\u0008\u000e-\u001f]/.test(text.slice(0, 4096));
  if (why && isText) throw new NotAList(t("badHeader", { why }));
  const columns = columnsOf(header, isText);
  if (records.length === 0) throw new NotAList(t("noRows"));
  const delivery = sha256(bytes).slice(0, 24);
  const seen = new Map();
  const rows = records.map(({ line, cells, badQuote }) => {
    const row = rowOf(cells, columns, header.length);
    const count = (seen.get(row.bookId) ?? 0) + 1;
    seen.set(row.bookId, count);
    const lost = cells.some((cell) => cell.includes("\ufffd")) ? t("w_letters") : "";
    return { line, cells, key: `${delivery}:${line}`, ...row, fault: badQuote || lost || row.fault || (count > ROWS_OF_A_BOOK ? t("w_many") : "") };
  });
  return { header, rows, encoding, ignored: header.filter((_, at) => !Object.values(columns).includes(at)) };
}

/** UTF-8; UTF-16 where a mark says so; else the encoding of Korean Windows, in which Excel there saves CSV. */
function decoded(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: new TextDecoder("utf-16le").decode(bytes), encoding: "UTF-16" };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), encoding: "UTF-8" };
  } catch {
    return { text: new TextDecoder("euc-kr").decode(bytes), encoding: "CP949" };
  }
}

/** The separator that the first line has most of, outside of quotes. */
function separator(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/)).replace(/"[^"]*"/g, "");
  const count = (mark) => first.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

/**
 * The records, each with the line on which it begins and what is wrong with its quotes; empty lines are none. A quote that nobody
 * closes takes in all that follows, and what stands behind a closed one may belong to its cell or not: that is not guessed but told,
 * as by `bookstock receive`, and the cell stays as the file has it.
 */
function split(text, mark) {
  const records = [];
  let [cells, cell, line, begins, badQuote] = [[], "", 1, 1, ""];
  // What of a cell has come: "nothing", "plain" text, an open quote ("within"), a closed one ("behind"), or one with text "after" it.
  let [place, from, opened] = ["nothing", 0, 1];
  const endCell = (at) => {
    cells.push(place === "within" || place === "after" ? text.slice(from, at) : cell);
    [cell, place] = ["", "nothing"];
  };
  const end = (at) => {
    endCell(at);
    if (cells.length > 1 || cells[0] !== "" || badQuote) records.push({ line: begins, cells, badQuote });
    [cells, begins, badQuote] = [[], line + 1, ""];
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (place === "within") {
      if (char === "\n") line += 1;
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; } else place = "behind";
    } else if (char === mark) endCell(at);
    else if (char === "\n" || char === "\r") {
      end(at);
      if (char === "\r" && text[at + 1] === "\n") at += 1;
      line += 1;
    } else if (char === '"' && place === "nothing") [place, from, opened] = ["within", at, line];
    else {
      cell += char;
      if (place === "nothing") place = "plain";
      else if (place === "behind" && char !== " " && char !== "\t") {
        place = "after";
        badQuote ||= t("w_afterQuote", { line: String(opened) });
      }
    }
  }
  if (place === "within") badQuote ||= t("w_openQuote", { line: String(opened) });
  if (place !== "nothing" || cells.length > 0) end(text.length);
  return records;
}

function columnsOf(header, isText) {
  const names = header.map((name) => name.trim().toLowerCase().replace(/\s/g, ""));
  const columns = {};
  for (const [field, spellings] of Object.entries(COLUMNS)) {
    const at = names.flatMap((name, index) => (spellings.includes(name) ? [index] : []));
    if (at.length > 1) throw new NotAList(t("twiceColumn", { name: field }));
    if (at.length === 1) [columns[field]] = at;
  }
  if (columns.bookId === undefined || columns.qty === undefined) throw new NotAList(t(isText ? "noHeader" : "noText", { names: header.join(", ").slice(0, 200) || "–" }));
  return columns;
}

function rowOf(cells, columns, width) {
  const cell = (field) => (columns[field] === undefined ? "" : (cells[columns[field]] ?? "").trim());
  const [id, qty, name, version] = ["bookId", "qty", "name", "version"].map(cell);
  const faults = [];
  if (cells.length !== width) faults.push(t("w_cells", { n: cells.length, of: width }));
  if (!/^[1-9]\d{0,15}$/.test(id) || !Number.isSafeInteger(Number(id))) faults.push(t("w_bookId"));
  if (!/^\d{1,7}$/.test(qty) || Number(qty) < 1 || Number(qty) > 1_000_000) faults.push(t("w_qty"));
  if ([...name].length > 500 || /[\u0000-\u001f\u007f-\u009f]/.test(name)) faults.push(t("w_name"));
  if (version !== "" && !/^\d{1,10}(\.\d{1,2})?$/.test(version)) faults.push(t("w_version"));
  return { bookId: id, qty, name, version, fault: faults.join("; ") };
}

/** Cells as a line of CSV. */
export const csvLine = (cells) => `${cells.map((cell) => (/[",;\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
