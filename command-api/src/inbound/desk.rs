//! What every way in works with: a command in, the book after it or a problem out.

use super::book_now::BookNow;
use super::problem::{self, Refusal};
use crate::history::Moment;
use crate::intention::Intention;
use crate::sick::Guarded;
use crate::transact::Transact;
use domain::book::{Book, BookId, BookName};
use domain::{Command, Timestamp};
use event_store::Kurrent;
use service_kit::edge::Due;
use service_kit::{Problem, clock};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// So many lists are booked at once by one process.
pub(super) const LISTS_AT_ONCE: usize = 4;

/// The books, open for commands.
pub(crate) struct Desk {
    /// The books.
    pub(super) transact: Transact<Guarded<Kurrent>, Book>,
    /// What a new book is called if nobody says.
    pub(super) default_name: Option<BookName>,
    /// The lists that may be booked at once.
    pub(super) lists: Arc<Semaphore>,
}

impl Desk {
    /// Commands for the books of `transact`.
    pub(crate) fn new(transact: Transact<Guarded<Kurrent>, Book>, default_name: Option<BookName>) -> Self {
        Self { transact, default_name, lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)) }
    }

    /// Carries out a command for a book. It is answered by the time that is `due`, if somebody waits for less time than a
    /// command may take.
    pub(super) async fn run<C>(
        &self,
        book_id: BookId,
        command: C,
        intention: &Intention,
        due: Option<Due>,
    ) -> Result<BookNow, Problem>
    where
        C: Command<State = Book, Refusal: Refusal> + Clone + 'static,
    {
        let due = due.map(|Due(due)| due.into());
        let outcome = self.transact.run(&command, intention, due).await;
        BookNow::after(book_id, outcome.map_err(|failure| problem::of(failure, &intention.key))?)
    }

    /// The last event of a book, and the book after it.
    pub(super) async fn last(&self, book_id: BookId) -> Result<(Moment<Book>, BookNow), Problem> {
        let last =
            self.transact.last(&book_id.stream()).await.map_err(|error| problem::of_reading(&error))?;
        let found = last.and_then(|last| {
            let book = BookNow::at(book_id, &last.state, last.at)?;
            Some((last, book))
        });
        found.ok_or_else(|| problem::nothing_came_in(book_id))
    }
}

/// The time that a command comes with.
pub(super) fn now() -> Timestamp {
    Timestamp::from_unix_micros(clock::unix_micros()).unwrap_or_default()
}
