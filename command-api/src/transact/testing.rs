//! Commands in line, as the tests of this module need them.

use super::ask::{Ask, Asked, Stage};
use crate::identity::Key;
use crate::intention::{Intention, Precondition, Provenance};
use crate::recent::WINDOW;
use domain::book::{Book, BookId, Correct, Renew, Warehouse};
use domain::{Command, Timestamp};
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) fn book_id() -> BookId {
    BookId::try_from(1).unwrap()
}

pub(super) fn asked<C>(command: C, key: Option<&str>, preconditions: &[Precondition]) -> Box<dyn Ask<Book>>
where
    C: Command<State = Book> + 'static,
{
    let provenance = Provenance { actor: None, request_id: "r".to_owned(), traceparent: None };
    let intention = Intention {
        key: key.map_or_else(Key::made_here, |key| Key::from_client(key).unwrap()),
        reach: WINDOW,
        preconditions: preconditions.to_vec(),
        provenance: Arc::new(provenance),
    };
    Box::new(Asked::new(command, intention, Arc::new(Stage::default()), oneshot::channel().0))
}

pub(super) fn warehouse(qty: u64, version: Option<&str>) -> Warehouse {
    let version = version.map(|version| version.parse().unwrap());
    let (qty, at) = (qty.try_into().unwrap(), Timestamp::default());
    Warehouse { book_id: book_id(), qty, version, name: None, default_name: None, at }
}

pub(super) fn correct(qty_delta: i64) -> Correct {
    let reason = "lost".parse().unwrap();
    Correct { book_id: book_id(), qty_delta: qty_delta.try_into().unwrap(), reason, at: Timestamp::default() }
}

pub(super) fn renew() -> Renew {
    Renew { book_id: book_id(), version: None, at: Timestamp::default() }
}
