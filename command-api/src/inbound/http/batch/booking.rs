//! Booking the rows of a list: rows of one book in order and together, several books at once, a bounded number of rows
//! under way, and the results in the order of the rows.

mod stop;

use super::super::{BookNow, Desk, problem};
use super::pace::Pace;
use super::problem as list_problem;
use super::results::Results;
use super::rows::{Ready, Row, Rows};
use crate::identity::Key;
use crate::intention::{Intention, Provenance};
use crate::recent::WINDOW;
use axum::http::StatusCode;
use bytes::Bytes;
use domain::book::{BookId, Warehouse};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::Value;
use service_kit::{Language, Problem};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// So many rows are under way at most; then no more are read until the first of them has its result.
const ROWS_UNDER_WAY: usize = 4_096;

/// So many books are worked on at once: the others' commands want their turn, too. It begins in the middle, grows by one
/// with each group of rows that is answered, and halves when the store does not keep up.
const MOST_BOOKS_AT_ONCE: usize = 32;
const BOOKS_AT_FIRST: usize = 16;
const FEWEST_BOOKS_AT_ONCE: usize = 2;

/// So many rows of one book go together: what one append takes.
const ROWS_TOGETHER: usize = 128;

/// So many rows with keys may one book have in a list whose rows are booked as they come. When it is sent again, the
/// first of them must still be recognised.
pub(super) const ROWS_OF_A_BOOK: u64 = 1_000;

/// Results go out in pieces of about this size while there are more, and at once if not.
const PIECE_BYTES: usize = 16 * 1024;

/// How slowly results may be read, on average: they are some times as long as the rows that they are of.
const SLOWEST_BYTES_PER_SEC: u64 = 4 * 1024;

/// How far back the keys of a book's rows are looked for.
pub(super) enum Reach {
    /// As the rows come, it is not known how many there will be.
    AsTheyCome,
    /// So many rows of each book are in the list, where it is more than one.
    Known(HashMap<BookId, u64>),
}

/// A list that is being booked.
pub(super) struct Booking {
    desk: Arc<Desk>,
    provenance: Arc<Provenance>,
    /// The language of its problems.
    language: Language,
    reach: Reach,
    out: Results,
    reading: Pace,
    /// The result of each row that is under way, in order, from the row `first` on.
    results: VecDeque<Option<Vec<u8>>>,
    first: u64,
    /// The rows that wait, by book, and the books whose turn comes.
    waiting: HashMap<BookId, VecDeque<(u64, Ready)>>,
    turn: VecDeque<BookId>,
    busy: HashSet<BookId>,
    /// Books with a row of which it is not known that it will never be booked: what comes after it must not overtake it.
    open: HashSet<BookId>,
    rows_of: HashMap<BookId, u64>,
    books_at_once: usize,
}

/// A row's result as it goes over the wire.
#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    status: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a BookNow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
}

impl Booking {
    pub(super) fn new(
        desk: Arc<Desk>,
        provenance: Arc<Provenance>,
        language: Language,
        reach: Reach,
        out: Results,
    ) -> Self {
        Self {
            desk,
            provenance,
            language,
            reach,
            out,
            reading: Pace::of(SLOWEST_BYTES_PER_SEC),
            results: VecDeque::new(),
            first: 1,
            waiting: HashMap::new(),
            turn: VecDeque::new(),
            busy: HashSet::new(),
            open: HashSet::new(),
            rows_of: HashMap::new(),
            books_at_once: BOOKS_AT_FIRST,
        }
    }

    /// Books `rows` as they come, until the last, until the client is gone, or until the service stops; what is under way then
    /// may be booked. The answer ends well if all rows have a result in it.
    pub(super) async fn run(mut self, mut rows: Rows, stopping: CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        loop {
            if stopping.is_cancelled() {
                return self.stop(rows, under_way).await;
            }
            while self.results.len() < ROWS_UNDER_WAY
                && let Some(row) = rows.ready(&self.desk)
            {
                self.take(row);
            }
            while under_way.len() < self.books_at_once
                && let Some(book) = self.turn.pop_front()
            {
                let rows = self.next_rows(book);
                self.busy.insert(book);
                under_way.push(book_together(Arc::clone(&self.desk), self.language, book, rows));
            }
            if !self.tell_what_is_ready(&under_way).await {
                return;
            }
            let has_room = self.results.len() < ROWS_UNDER_WAY;
            if has_room && rows.has_some() {
                continue;
            }
            let wants_rows = has_room && !rows.is_over();
            if under_way.is_empty() && !wants_rows {
                break;
            }
            tokio::select! {
                () = rows.more(), if wants_rows => {}
                Some((book, results)) = under_way.next(), if !under_way.is_empty() => self.note(book, results),
                () = self.out.closed() => return,
                () = stopping.cancelled() => {}
            }
        }
        if let Some((number, problem)) = rows.problem() {
            self.results.push_back(Some(failed(number, &problem, self.language)));
        }
        if self.tell(usize::MAX).await {
            rows.drain().await;
            self.out.end();
        }
    }

    fn take(&mut self, Row { number, read }: Row) {
        let read = read.and_then(|ready| self.admit(ready));
        match read {
            Err(problem) => self.results.push_back(Some(failed(number, &problem, self.language))),
            Ok(ready) => {
                let book = ready.book_id;
                self.results.push_back(None);
                let line = self.waiting.entry(book).or_default();
                if line.is_empty() && !self.busy.contains(&book) {
                    self.turn.push_back(book);
                }
                line.push_back((number, ready));
            }
        }
    }

    /// Refuses a row that could not be sent again safely.
    fn admit(&mut self, ready: Ready) -> Result<Ready, Problem> {
        if ready.key.is_some() && matches!(self.reach, Reach::AsTheyCome) {
            let rows = self.rows_of.entry(ready.book_id).or_default();
            *rows += 1;
            if *rows > ROWS_OF_A_BOOK {
                return Err(list_problem::too_many_rows_of_a_book(ROWS_OF_A_BOOK));
            }
        }
        Ok(ready)
    }

    fn reach(&self, book: BookId) -> u64 {
        WINDOW
            + match &self.reach {
                Reach::AsTheyCome => ROWS_OF_A_BOOK,
                Reach::Known(rows) => rows.get(&book).copied().unwrap_or(1),
            }
    }

    /// The next rows of the book.
    fn next_rows(&mut self, book: BookId) -> Together {
        let (reach, held_back) = (self.reach(book), self.open.contains(&book));
        let Some(line) = self.waiting.get_mut(&book) else { return Together::default() };
        let rows = line.drain(..line.len().min(ROWS_TOGETHER)).map(|(number, ready)| {
            let intention = Intention {
                key: ready.key.unwrap_or_else(Key::made_here),
                reach,
                preconditions: Vec::new(),
                provenance: Arc::clone(&self.provenance),
            };
            (number, (ready.command, intention))
        });
        let (numbers, commands) = rows.unzip();
        if line.is_empty() {
            self.waiting.remove(&book);
        }
        Together { numbers, commands, held_back }
    }

    fn note(&mut self, book: BookId, results: Vec<(u64, Settled)>) {
        self.busy.remove(&book);
        if self.waiting.contains_key(&book) {
            self.turn.push_back(book);
        }
        let keeps_up = results.iter().all(|(_, settled)| !settled.is_open);
        self.books_at_once = if keeps_up {
            (self.books_at_once + 1).min(MOST_BOOKS_AT_ONCE)
        } else {
            (self.books_at_once / 2).max(FEWEST_BOOKS_AT_ONCE)
        };
        for (number, settled) in results {
            if settled.is_open {
                self.open.insert(book);
            }
            let place = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
            if let Some(result) = self.results.get_mut(place) {
                *result = Some(settled.line);
            }
        }
    }

    /// Sends the results that are next; false when the client is gone.
    async fn tell_what_is_ready<F>(&mut self, under_way: &FuturesUnordered<F>) -> bool {
        let ready = self.results.iter().take_while(|result| result.is_some()).count();
        // A few results are not worth a piece while more come at once.
        let worth_it = ready >= ROWS_UNDER_WAY / 8 || under_way.is_empty() || ready == self.results.len();
        !worth_it || self.tell(ready).await
    }

    async fn tell(&mut self, most: usize) -> bool {
        let mut piece = Vec::new();
        for _ in 0..most {
            let Some(Some(line)) = self.results.front() else { break };
            piece.extend_from_slice(line);
            self.results.pop_front();
            self.first += 1;
            if piece.len() >= PIECE_BYTES && !self.send(&mut piece).await {
                return false;
            }
        }
        piece.is_empty() || self.send(&mut piece).await
    }

    async fn send(&mut self, piece: &mut Vec<u8>) -> bool {
        let piece = Bytes::from(std::mem::take(piece));
        self.reading.moved(piece.len());
        match self.reading.wait_for(self.out.send(piece)).await {
            Ok(is_sent) => is_sent,
            Err(_) => {
                tracing::warn!(
                    request_id = self.provenance.request_id,
                    row = self.first,
                    "a client leaves the results of its list unread, or reads them too slowly; the rest of the list is not booked, and the answer breaks off"
                );
                false
            }
        }
    }
}

/// Rows of one book that go together, each with its circumstances.
#[derive(Default)]
struct Together {
    numbers: Vec<u64>,
    commands: Vec<(Warehouse, Intention)>,
    /// Whether they must not be sent.
    held_back: bool,
}

/// The result of a row, and whether it may still be booked.
struct Settled {
    line: Vec<u8>,
    is_open: bool,
}

async fn book_together(
    desk: Arc<Desk>,
    language: Language,
    book: BookId,
    Together { numbers, commands, held_back }: Together,
) -> (BookId, Vec<(u64, Settled)>) {
    let settled = |number, result| (number, settle(number, result, language));
    if held_back {
        let held_back = |number| settled(number, Err(list_problem::held_back()));
        return (book, numbers.into_iter().map(held_back).collect());
    }
    let keys: Vec<Key> = commands.iter().map(|(_, intention)| intention.key.clone()).collect();
    let answers = desk.transact.run_together(&book.stream(), commands).await;
    let results = answers.into_iter().zip(&keys).map(|(answer, key)| {
        let outcome = answer.map_err(|failure| problem::of(failure, key))?;
        BookNow::after(book, outcome)
    });
    (book, numbers.into_iter().zip(results).map(|(number, result)| settled(number, result)).collect())
}

fn settle(number: u64, result: Result<BookNow, Problem>, language: Language) -> Settled {
    match result {
        Ok(book) => Settled { line: booked(number, &book), is_open: false },
        Err(problem) => {
            let is_open = problem.status().is_server_error();
            Settled { line: failed(number, &problem, language), is_open }
        }
    }
}

fn booked(row: u64, book: &BookNow) -> Vec<u8> {
    let status = StatusCode::CREATED.as_u16();
    line(&Line { row, status, replayed: book.repeated, answer: Some(book), problem: None })
}

fn failed(row: u64, problem: &Problem, language: Language) -> Vec<u8> {
    let status = problem.status().as_u16();
    let problem = Some(Value::Object(problem.document(language)));
    line(&Line { row, status, replayed: false, answer: None, problem })
}

fn line(line: &Line<'_>) -> Vec<u8> {
    // A line of numbers, strings and what was read from JSON always has a JSON form.
    let mut json = serde_json::to_vec(line).unwrap_or_default();
    json.push(b'\n');
    json
}
