//! The rows of a list: found in the body as it comes, and read into commands.

use super::super::Desk;
use super::super::fields::Fields;
use super::super::now;
use super::super::problem::missing;
use super::framing::{Found, Framing};
use super::pace::{LONGEST, Pace, SILENCE};
use super::problem;
use crate::identity::{Key, MAX_KEY_LENGTH};
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use domain::book::{BookId, Warehouse};
use futures_util::StreamExt as _;
use service_kit::Problem;
use std::collections::VecDeque;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// The most rows of one list.
pub(super) const MAX_ROWS: u64 = 100_000;

/// The largest list, in bytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// How slowly a list may come, on average.
const SLOWEST_BYTES_PER_SEC: u64 = 256;

/// So much of the body is cut into rows at a time: as fields, rows take many times the memory that they do as text.
const CUT_AT_ONCE: usize = 16 * 1024;

/// What a row may say.
pub(super) const FIELDS: [&str; 5] = ["bookId", "qty", "name", "version", "idempotencyKey"];

/// One row, by its number from 1: a command, or what is wrong with the row alone.
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) read: Result<Ready, Problem>,
}

/// A row that can be booked.
pub(super) struct Ready {
    pub(super) book_id: BookId,
    pub(super) command: Warehouse,
    /// The key that makes its repeats recognisable, if it has one.
    pub(super) key: Option<Key>,
}

/// The rows of one request.
pub(super) struct Rows {
    body: BodyDataStream,
    sending: Pace,
    /// Its place among the lists that are booked at once, for as long as it needs one.
    place: Option<OwnedSemaphorePermit>,
    /// What has come of the body and is not cut yet.
    uncut: Bytes,
    framing: Framing,
    found: VecDeque<Found>,
    /// Rows that were read and checked before.
    checked: VecDeque<Row>,
    ended: Option<Result<(), Problem>>,
    number: u64,
    /// The key of the request, which with a row's number is the row's.
    key: Option<Key>,
}

impl Rows {
    pub(super) fn new(body: Body, framing: Framing, key: Option<Key>, place: OwnedSemaphorePermit) -> Self {
        let body = body.into_data_stream();
        Self {
            body,
            sending: Pace::of(SLOWEST_BYTES_PER_SEC),
            place: Some(place),
            uncut: Bytes::new(),
            framing,
            found: VecDeque::new(),
            checked: VecDeque::new(),
            ended: None,
            number: 0,
            key,
        }
    }

    /// The longest key of a request: a row's number has to fit behind it.
    pub(super) fn longest_key() -> usize {
        MAX_KEY_LENGTH - row_number(MAX_ROWS).len()
    }

    /// The next row that has come already.
    pub(super) fn ready(&mut self, desk: &Desk) -> Option<Row> {
        if let Some(row) = self.checked.pop_front() {
            return Some(row);
        }
        let found = self.found.pop_front()?;
        self.number += 1;
        let number = self.number;
        let read = found.and_then(|fields| read(fields, desk, self.key.as_ref(), number));
        Some(Row { number, read })
    }

    /// Whether [`Rows::ready`] has one.
    pub(super) fn has_some(&self) -> bool {
        !self.found.is_empty() || !self.checked.is_empty()
    }

    /// Whether no further row will come.
    pub(super) fn is_over(&self) -> bool {
        !self.has_some() && self.ended.is_some()
    }

    /// Why no further row comes, if it is not that the list has ended well; and the number that the next would have had.
    pub(super) fn problem(&mut self) -> Option<(u64, Problem)> {
        let problem = self.ended.take()?.err()?;
        Some((self.number + 1, problem))
    }

    /// Gives these rows, which are all there are, from the first on.
    pub(super) fn restart(&mut self, checked: Vec<Row>) {
        self.checked = checked.into();
        self.ended = Some(Ok(()));
    }

    /// Gives no further row, for this reason, unless all were given.
    pub(super) fn give_up(&mut self, problem: Problem) {
        if self.is_over() {
            return;
        }
        if let Some(next) = self.checked.front() {
            self.number = next.number - 1;
        }
        self.checked.clear();
        self.found.clear();
        self.end(Err(problem));
    }

    /// Cuts more of the body, and waits for it if need be. It may be dropped at any time without losing anything.
    pub(super) async fn more(&mut self) {
        if self.uncut.is_empty() {
            match self.sending.wait_for(self.body.next()).await {
                Err(_) => {
                    let (silence, longest) = (SILENCE.as_secs(), LONGEST.as_secs() / 60);
                    return self.end(Err(problem::too_slow(silence, SLOWEST_BYTES_PER_SEC, longest)));
                }
                // Whatever has come of the last row may be half of it.
                Ok(Some(Err(_))) => return self.end(Err(problem::ended_early())),
                Ok(Some(Ok(bytes))) => self.uncut = bytes,
                Ok(None) => {
                    let mut found = Vec::new();
                    let ended = self.framing.end(&mut found);
                    self.take(found, Some(ended));
                    return;
                }
            }
        }
        let bytes = self.uncut.split_to(self.uncut.len().min(CUT_AT_ONCE));
        self.sending.moved(bytes.len());
        let mut found = Vec::new();
        let cut = self.framing.feed(&bytes, &mut found);
        let is_too_large = self.sending.bytes() > MAX_BYTES;
        let over = if is_too_large { Some(Err(problem::too_large(MAX_BYTES))) } else { cut.err().map(Err) };
        self.take(found, over);
    }

    /// Takes what was found, as far as there is room for it; and whether nothing comes after it, and why.
    fn take(&mut self, mut found: Vec<Found>, mut over: Option<Result<(), Problem>>) {
        let room = MAX_ROWS.saturating_sub(self.number + self.found.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if found.len() > room {
            found.truncate(room);
            over = Some(Err(problem::too_many_rows(MAX_ROWS)));
        }
        self.found.extend(found);
        if let Some(over) = over {
            self.end(over);
        }
    }

    /// Leaves its place to another list, and reads over what is left, within the limits and not for longer than [`SILENCE`]:
    /// a connection that is closed on unread bytes takes the answer with it.
    pub(super) async fn drain(&mut self) {
        self.place = None;
        let rest = async {
            while self.sending.bytes() <= MAX_BYTES
                && let Some(Ok(bytes)) = self.body.next().await
            {
                self.sending.moved(bytes.len());
            }
        };
        // Who goes on to send for longer may not see the answer.
        let _ = timeout(SILENCE, rest).await;
    }

    fn end(&mut self, how: Result<(), Problem>) {
        self.ended = Some(how);
    }
}

fn read(fields: Fields, desk: &Desk, of_request: Option<&Key>, number: u64) -> Result<Ready, Problem> {
    let fields = fields.only(&FIELDS)?;
    let book_id: BookId = fields.number("bookId")?.ok_or_else(|| missing("bookId"))?;
    let qty = fields.number("qty")?.ok_or_else(|| missing("qty"))?;
    let (version, name) = (fields.number("version")?, fields.text("name")?);
    let own: Option<Key> = fields.text("idempotencyKey")?;
    let key = own.or_else(|| of_request.and_then(|key| row_key(key, number)));
    let command =
        Warehouse { book_id, qty, version, name, default_name: desk.default_name.clone(), at: now() };
    Ok(Ready { book_id, command, key })
}

fn row_key(key: &Key, number: u64) -> Option<Key> {
    Key::from_client(&(key.as_str().to_owned() + &row_number(number)))
}

fn row_number(number: u64) -> String {
    format!(":{number}")
}
