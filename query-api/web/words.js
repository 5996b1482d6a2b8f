// Every word of the page, English and Korean. `{x}` is filled in; "one|many" is chosen by {n}.
import { remembered } from "./dom.js";

const WORDS = {
  books: ["Books", "도서"], receiving: ["Receiving list", "입고 목록"],
  language: ["한국어로 보기", "View in English"], languageShort: ["한국어", "English"],
  theme: ["Theme: {which}", "화면: {which}"], themeAuto: ["as the system", "시스템 설정"], themeLight: ["light", "밝게"], themeDark: ["dark", "어둡게"],
  // the list
  search: ["Search titles", "제목 검색"], searchHint: ["Search titles", "제목으로 찾기"],
  lowOnly: ["Low: {n} or fewer", "부족: {n}권 이하"], low: ["low", "부족"], none: ["none left", "없음"],
  no: ["No.", "번호"], name: ["Title", "제목"], version: ["Edition", "판"], stock: ["In stock", "재고"], actions: ["Actions", "작업"],
  nameless: ["Book {id}, no title yet", "{id}번 도서, 제목 없음"], edition: ["ed. {v}", "{v}판"], copies: ["copy|copies", "권"],
  newBook: ["Warehouse a book", "도서 입고"], count: ["{n} book|{n} books", "도서 {n}종"], countFound: ["{n} book found|{n} books found", "{n}종 찾음"],
  reorder: ["The order has changed. Sort again", "순서가 바뀌었습니다. 다시 정렬"],
  keysHint: ["Keyboard: press ?", "단축키: ? 키"], loading: ["Loading", "불러오는 중"],
  emptyTitle: ["No books yet", "아직 도서가 없습니다"],
  emptyText: ["Warehouse the first one, or drop a receiving list (CSV) anywhere on this page.", "첫 도서를 입고하거나, 입고 목록(CSV) 파일을 이 화면에 끌어다 놓으세요."],
  noneFound: ["Nothing matches", "찾는 도서가 없습니다"], noneFoundText: ["No title contains “{q}”.", "제목에 “{q}”이(가) 들어간 도서가 없습니다."],
  noneLow: ["No book is low: all have more than {n}.", "모두 {n}권보다 많습니다."], clear: ["Show all books", "전체 도서 보기"],
  cannotShow: ["The books cannot be shown right now", "지금은 도서를 보여 드릴 수 없습니다"], again: ["Try again", "다시 시도"], trying: ["Trying again by itself…", "자동으로 다시 시도합니다…"],
  tooMany: ["Search to see beyond the first {n}.", "처음 {n}종까지만 표시합니다. 검색해 보세요."],
  asOf: ["As of", "시점"], asOfList: ["See the stock as it was", "지난 시점의 재고 보기"], backToNow: ["Back to now", "현재로"],
  listThen: ["The stock as it was on {when}. Nothing can be changed here.", "{when} 당시의 재고입니다. 여기서는 바꿀 수 없습니다."], listThenAt: ["The stock as it was at position {p}. Nothing can be changed here.", "위치 {p} 당시의 재고입니다. 여기서는 바꿀 수 없습니다."],
  noMoment: ["“{text}” is neither a position, such as 42, nor a time, such as 2026-11-24T08:05:00Z", "“{text}”은(는) 42 같은 위치도, 2026-11-24T08:05:00Z 같은 시각도 아닙니다"], onlyNow: ["What is past cannot be changed", "지난 시점에서는 바꿀 수 없습니다"],
  // commands
  warehouse: ["Warehouse", "입고"], renew: ["Renew", "재판"], correct: ["Correct", "정정"],
  warehouseTitle: ["Warehouse copies", "입고"], renewTitle: ["Renew: a new edition", "재판: 새 판 발행"], correctTitle: ["Correct the stock", "재고 정정"],
  bookId: ["Book number", "도서 번호"], qty: ["Copies that came in", "들어온 수량"], newName: ["Title", "제목"], optional: ["optional", "선택"],
  keepsName: ["Leave it empty to keep the title.", "비워 두면 제목이 그대로 남습니다."], newVersion: ["New edition", "새 판"],
  versionHint: ["Greater than {v}; empty means {next}.", "{v}보다 커야 합니다. 비워 두면 {next}판이 됩니다."],
  delta: ["Change in copies", "늘거나 줄 수량"], deltaHint: ["Negative takes copies away, such as −3.", "줄이려면 −3처럼 음수로 적습니다."], reason: ["Reason", "사유"],
  reasons: ["lost,withdrawn,damaged,miscounted", "분실,제적,파손,오기"],
  inStock: ["In stock", "재고"], cancel: ["Cancel", "취소"], close: ["Close", "닫기"], sending: ["Booking…", "기록 중…"], sendAgain: ["Send again", "다시 보내기"],
  needed: ["This is needed.", "입력해 주세요."], whole: ["A whole number from {min} to {max}.", "{min}부터 {max}까지의 정수를 입력하세요."],
  notZero: ["A whole number, not zero.", "0이 아닌 정수를 입력하세요."], belowZero: ["That would leave {n} copies; there are {stock}.", "재고 {stock}권에서 빼면 {n}권이 됩니다."],
  editionForm: ["A number with at most two places, such as 2 or 1.25.", "2 또는 1.25처럼 소수 둘째 자리까지의 수를 입력하세요."],
  unknownTitle: ["It is not known whether this was booked", "기록되었는지 알 수 없습니다"],
  unknownText: ["The answer got lost. Send it again: it will be booked once, even if the first one arrived.", "응답을 받지 못했습니다. 다시 보내도 한 번만 기록됩니다."],
  bookedWarehouse: ["{name}: {qty} in, {stock} in stock", "{name}: {qty}권 입고, 재고 {stock}권"], bookedRenew: ["{name}: edition {v}, {stock} in stock", "{name}: {v}판, 재고 {stock}권"],
  bookedCorrect: ["{name}: corrected by {qty}, {stock} in stock", "{name}: {qty}권 정정, 재고 {stock}권"],
  // a book
  backToList: ["All books", "전체 도서"], noSuchPage: ["There is no such page", "그런 화면이 없습니다"], noSuchPageText: ["Nothing is at {address}.", "{address} 주소에는 아무것도 없습니다."],
  noSuchBook: ["There is no such book", "그런 도서가 없습니다"], noSuchBookText: ["No copy of book {id} has come in.", "{id}번 도서는 아직 입고되지 않았습니다."],
  curve: ["Stock over time", "재고 추이"], curveLabel: ["Stock from {from} to {to}, between {min} and {max} copies", "{from}부터 {to}까지 재고: 최소 {min}권, 최대 {max}권"],
  slider: ["Time", "시점"], now: ["now", "현재"], then: ["{when}: {stock} in stock, edition {v}", "{when}: 재고 {stock}권, {v}판"], atPosition: ["position {p}", "위치 {p}"],
  why: ["Why is it {n}?", "왜 {n}권인가요?"], whyText: ["These events made it. What came before the last renewal no longer counts: a new edition begins with its first run.", "이 이벤트들이 지금의 재고를 만들었습니다. 마지막 재판 이전의 것은 더 이상 세지 않습니다. 새 판은 초행 100권으로 시작합니다."],
  whyAll: ["Every event of this book, from its first copy.", "첫 입고부터 모든 이벤트입니다."], whyPart: ["The older events are one number here; they can be shown below.", "더 오래된 이벤트는 숫자 하나로 모았습니다. 아래에서 더 볼 수 있습니다."], before: ["older events", "이전 이벤트"], others: ["{n} others|{n} others", "그 외 {n}건"],
  history: ["History", "이력"], when: ["When", "언제"], what: ["What", "무엇"], change: ["Change", "변동"], after: ["In stock after", "이후 재고"], details: ["Details", "내용"], more: ["The whole event", "이벤트 전체 보기"],
  Warehoused: ["Warehoused", "입고"], Renewed: ["Renewed", "재판"], Corrected: ["Corrected", "재고 정정"], Skipped: ["Skipped", "건너뛰기"], olderOnes: ["Older events", "이전 이력 더 보기"],
  historyAway: ["The history cannot be shown right now", "지금은 이력을 보여 드릴 수 없습니다"], revision: ["Revision", "리비전"], position: ["Position", "위치"], actor: ["Actor", "처리자"], correlationId: ["Correlation", "상관 ID"],
  // receiving
  dropTitle: ["Drop a receiving list here", "입고 목록 파일을 여기에 놓으세요"], dropText: ["A CSV file with the columns bookId and qty, and if you like name and version. What Excel saves is fine. You see everything before anything is booked.", "bookId(도서 번호)와 qty(수량) 열이 있는 CSV 파일이면 됩니다. name(제목)과 version(판)은 선택입니다. 엑셀에서 저장한 파일도 됩니다. 기록하기 전에 먼저 보여 드립니다."],
  choose: ["Choose a file", "파일 선택"], another: ["Another file", "다른 파일"], line: ["Line", "줄"], result: ["Result", "결과"], quantity: ["Copies", "수량"],
  rowsIn: ["{n} row, {copies} copies|{n} rows, {copies} copies", "{n}행, {copies}권"], ignored: ["Columns not used: {names}", "쓰지 않는 열: {names}"], encoding: ["read as {which}", "{which} 인코딩"],
  start: ["Book {n} row|Book {n} rows", "{n}행 입고"], stop: ["Stop", "멈추기"], goOn: ["Go on: {n} left", "계속: {n}행 남음"], rejectedFile: ["Save the problems as CSV", "문제 행 저장 (CSV)"],
  all: ["All {n}", "전체 {n}"], good: ["{n} ready", "대기 {n}"], bad: ["{n} problem|{n} problems", "문제 {n}"], done: ["{n} booked", "기록됨 {n}"], already: ["{n} already booked", "이미 기록됨 {n}"],
  r_ready: ["ready", "대기"], r_sending: ["booking…", "기록 중…"], r_booked: ["booked, {stock} in stock", "기록됨, 재고 {stock}권"], r_repeated: ["was booked before, {stock} in stock then", "이미 기록됨, 당시 재고 {stock}권"],
  mayBeBooked: ["{why}. It may be booked or not: send this list again when it can be read", "{why}. 기록되었는지 알 수 없습니다. 읽을 수 있게 된 뒤 이 목록을 다시 보내 주세요"],
  waiting: ["The server does not take commands; trying again until it does.", "서버가 기록을 받지 못하고 있습니다. 될 때까지 다시 시도합니다."], finished: ["{n} booked, {bad} with problems", "{n}행 기록, 문제 {bad}행"], allDone: ["All {n} rows are booked", "{n}행 모두 기록되었습니다"],
  finishedAgain: ["{n} booked, {again} already booked, {bad} with problems", "{n}행 기록, 이미 기록된 행 {again}, 문제 {bad}행"],
  allAgain: ["Nothing new: this row was booked before|Nothing new: all {n} rows were booked before", "새로 기록한 것이 없습니다. {n}행 모두 이미 기록되어 있었습니다"], allDoneAgain: ["All {n} rows are booked, {again} of them before", "{n}행 모두 기록되었습니다. 그중 {again}행은 이미 기록되어 있었습니다"],
  oneAtATime: ["{file} is still being booked. Stop it first, or drop the other file when it is done.", "{file} 파일을 아직 기록하고 있습니다. 멈추거나, 끝난 뒤에 다른 파일을 놓으세요."],
  notCsv: ["This is not a receiving list", "입고 목록이 아닙니다"], noHeader: ["Its first line must name the columns bookId and qty; it has: {names}", "첫 줄에 bookId(도서 번호)와 qty(수량) 열이 있어야 합니다. 있는 열: {names}"],
  badHeader: ["Its first line cannot be read: {why}.", "첫 줄을 읽을 수 없습니다: {why}."],
  emptyFile: ["The file is empty.", "빈 파일입니다."], noText: ["It is not a text file. Save it as CSV first.", "텍스트 파일이 아닙니다. 먼저 CSV로 저장해 주세요."],
  noRows: ["It has no rows.", "행이 없습니다."], tooLarge: ["It is larger than {n} MB; split it.", "{n}MB보다 큽니다. 나누어 주세요."], twiceColumn: ["The column {name} comes twice.", "{name} 열이 두 번 나옵니다."],
  w_bookId: ["the book number is a whole number from 1", "도서 번호는 1 이상의 정수여야 합니다"], w_qty: ["the copies are a whole number from 1 to 1,000,000", "수량은 1부터 1,000,000까지의 정수여야 합니다"],
  w_version: ["the edition has at most two places, such as 1.0", "판은 1.0처럼 소수 둘째 자리까지입니다"], w_name: ["a title has at most 500 characters and no line breaks", "제목은 줄바꿈 없이 500자까지입니다"], w_cells: ["{n} cells where the first line has {of}", "칸이 {n}개입니다. 첫 줄은 {of}개입니다"], w_many: ["more than 1,000 rows of one book", "한 도서에 1,000행이 넘습니다"],
  w_openQuote: ["the quote of line {line} is not closed, so that all that follows is one cell", "{line}번째 줄의 따옴표가 닫히지 않아 그 뒤가 모두 한 칸으로 읽힙니다"],
  w_afterQuote: ["text after a closed quote, of line {line}; a quote within quotes is written twice", "{line}번째 줄의 닫힌 따옴표 뒤에 글자가 있습니다. 따옴표 안의 따옴표는 두 번 씁니다"],
  w_letters: ["letters are lost (�); save the list as UTF-8 where it was made", "깨진 글자(�)가 있습니다. 원본에서 UTF-8로 다시 저장해 주세요"],
  // status
  status: ["Status", "상태"], s_live: ["Live", "실시간"], s_idle: ["connected, nothing new comes", "연결됨, 새 변경이 오지 않음"], s_polling: ["Every few seconds", "몇 초마다"], s_stale: ["As of {when}", "{when} 기준"], s_away: ["No connection", "연결 끊김"], s_part: ["Partly down", "일부 중단"], s_starting: ["Connecting", "연결 중"],
  views: ["What you see", "화면의 자료"], updates: ["Updates", "갱신"], age: ["Age", "최신 정도"], ageNow: ["up to date", "최신"], ageOf: ["{s} s behind", "{s}초 전"], parked: ["Books set aside", "보류된 도서"], ownLag: ["Your last booking appeared", "내 마지막 기록 반영"], ownLagOf: ["after {s} s", "{s}초 후"],
  lag: ["The list is", "반영"], lagNone: ["not behind", "지연 없음"], lagOf: ["{ago} behind, at least {n} event|{ago} behind, at least {n} events", "{ago} 지연, 이벤트 {n}건 이상"], stoppedSince: ["not updated since {when}", "{when}부터 멈춤"],
  s_behind: ["{ago} behind", "{ago} 지연"], s_stopped: ["Not updated", "반영 멈춤"],
  services: ["Services", "서비스"], up: ["works", "정상"], down: ["does not work", "중단"], fromMemory: ["from memory", "메모리에서 제공"], unknownState: ["not known", "알 수 없음"],
  "command-api": ["Booking (command-api)", "기록 (command-api)"], "query-api": ["Reading (query-api)", "조회 (query-api)"], projector: ["Updating (projector)", "반영 (projector)"],
  n_away: ["The server cannot be reached. You see what was last known; this page tries again by itself.", "서버에 연결할 수 없습니다. 마지막으로 받은 내용을 보여 드리며, 자동으로 다시 연결합니다."],
  n_query: ["The read models cannot be reached. You see what was last known; booking works.", "조회용 데이터베이스에 연결할 수 없습니다. 마지막으로 받은 내용을 보여 드립니다. 기록은 됩니다."],
  n_stale: ["The database is away. You see the stock as of {when}; booking works.", "데이터베이스가 응답하지 않습니다. {when} 기준 재고입니다. 기록은 됩니다."],
  n_command: ["Nothing can be booked right now. Looking works.", "지금은 기록할 수 없습니다. 조회는 됩니다."], n_both: ["Nothing can be booked, and what you see may be old. This page tries again by itself.", "지금은 기록할 수 없고, 화면의 내용이 오래되었을 수 있습니다. 자동으로 다시 시도합니다."],
  n_awaited: ["What is booked now appears in the list later.", "지금 기록한 내용은 목록에 나중에 나타납니다."],
  n_stopped: ["The list is not being updated. What is booked now appears in it later.", "목록 반영이 멈췄습니다. 지금 기록한 내용은 목록에 나중에 나타납니다."],
  n_behind: ["The list is {ago} behind. What is booked now appears in it later.", "목록 반영이 {ago} 늦어지고 있습니다. 지금 기록한 내용은 목록에 나중에 나타납니다."],
  unreachable: ["The server cannot be reached", "서버에 연결할 수 없습니다"], unreachableText: ["Look at the network, or try again.", "네트워크를 확인하고 다시 시도하세요."], oddAnswer: ["The server answered {status}", "서버 응답 {status}"],
  noLogin: ["You cannot be logged in right now", "지금은 로그인할 수 없습니다"], noLoginText: ["The login service says: {why}.", "로그인 서비스의 응답: {why}."],
  refused: ["The server does not accept the login", "서버가 로그인을 받아들이지 않습니다"], logOut: ["Log out", "로그아웃"],
  // keys
  keys: ["Keyboard", "단축키"], k_search: ["search", "검색"], k_move: ["move through the list", "목록에서 이동"], k_open: ["open the book", "도서 열기"], k_w: ["warehouse", "입고"], k_r: ["renew", "재판"], k_c: ["correct", "정정"], k_n: ["warehouse a book that is not in the list", "목록에 없는 도서 입고"], k_esc: ["back", "뒤로"], k_help: ["this help", "이 도움말"],
};

export const language = () => (document.documentElement.lang === "ko" ? "ko" : "en");

export function speak(which) {
  document.documentElement.lang = which;
  remembered.set("language", which);
}

/** The words for `key` in the language of the page. */
export function t(key, values = {}) {
  let text = WORDS[key]?.[language() === "ko" ? 1 : 0] ?? key;
  if (text.includes("|")) text = text.split("|")[values.n === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number(value) : value;
  });
}

const made = new Map();
const format = (kind, options) => {
  const key = kind.name + language() + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new kind(language(), options));
  return made.get(key);
};

export const number = (value) => format(Intl.NumberFormat, {}).format(value);
export const signed = (value) => format(Intl.NumberFormat, { signDisplay: "exceptZero" }).format(value);
export const decimal = (value) => format(Intl.NumberFormat, { maximumFractionDigits: 2 }).format(value);
export const edition = (value) => format(Intl.NumberFormat, { minimumFractionDigits: 1, maximumFractionDigits: 2, useGrouping: false }).format(value);

/** So long, in words; `short` where there is little room. */
export function lasting(seconds, unitDisplay = "long") {
  const [unit, size] = seconds < 120 ? ["second", 1] : seconds < 7_200 ? ["minute", 60] : ["hour", 3_600];
  return format(Intl.NumberFormat, { style: "unit", unit, unitDisplay, maximumFractionDigits: 0 }).format(seconds / size);
}

export const moment = (time) => format(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
export const exactly = (time) => format(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));
export const minute = (time) => format(Intl.DateTimeFormat, { timeStyle: "short" }).format(new Date(time));
export const clock = (time) => format(Intl.DateTimeFormat, { timeStyle: "medium" }).format(new Date(time));
export const titleOf = (book) => book.name ?? t("nameless", { id: String(book.bookId) });

/** So much of a title that what is said after it is seen too. */
export function shortTitleOf(book) {
  const letters = [...titleOf(book)];
  return letters.length > 100 ? `${letters.slice(0, 99).join("")}…` : letters.join("");
}
