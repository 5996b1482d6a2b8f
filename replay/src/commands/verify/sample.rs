//! Folding some books only, each from its own stream.

use crate::after::AfterCheck;
use crate::build::Build;
use crate::gone::{self, Kept};
use crate::progress::Progress;
use domain::book::BookId;
use event_store::{Direction, EventStore as _, Kurrent, ReadError, Start, StoredEvent};
use projector::Understood;
use read_model::batch::Batch;
use read_model::parity::Snapshot;

/// How many events are read at a time, and how many of several books are applied together.
const PAGE: usize = 4_096;

/// What became of the books.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    pub(super) events: u64,
    /// Those of which the event store does not have every event any more.
    pub(super) gone: Vec<BookId>,
}

/// Applies all events of some books, up to the snapshot.
///
/// Many books with few events go into one batch, one with many events into several of its own: what is in memory is
/// bounded, whatever books were chosen. As each book comes with all of its events, it does not matter that others with
/// later ones came before.
pub(super) async fn apply(
    store: &Kurrent,
    books: &[i64],
    snapshot: &Snapshot,
    build: &mut Build,
    after: &mut AfterCheck,
) -> anyhow::Result<Sampled> {
    let mut sampled = Sampled::default();
    let mut batch = Batch::default();
    let mut progress = Progress::start("folding books", books.len() as u64);
    for (number, done) in books.iter().zip(1..) {
        let book = BookId::try_from(u64::try_from(*number)?)?;
        let first = page(store, book, 0, snapshot).await;
        if gone::kept(store, book, first.as_deref().map_err(Clone::clone)).await? == Kept::NotWhole {
            sampled.gone.push(book);
            progress.done(0, done);
            continue;
        }
        let mut events = first?;
        if batch.len() + events.len() > PAGE {
            sampled.events += write(&mut batch, build).await?;
        }
        let mut next = 0;
        while events.len() == PAGE {
            next += events.len() as u64;
            progress.done(events.len(), done - 1);
            take(&events, &mut batch, after);
            sampled.events += batch.len() as u64;
            build.apply(&std::mem::take(&mut batch)).await?;
            events = page(store, book, next, snapshot).await?;
        }
        take(&events, &mut batch, after);
        if next > 0 {
            sampled.events += write(&mut batch, build).await?;
        }
        progress.done(events.len(), done);
    }
    sampled.events += write(&mut batch, build).await?;
    Ok(sampled)
}

/// The next events of a book up to the snapshot; fewer than a page if they are the last.
async fn page(
    store: &Kurrent,
    book: BookId,
    from: u64,
    snapshot: &Snapshot,
) -> Result<Vec<StoredEvent>, ReadError> {
    let stream = book.stream();
    let mut events = store.read_stream(&stream, Start::At(from), Direction::Forwards, PAGE).await?;
    events.retain(|event| event.position.0 <= snapshot.checkpoint.position);
    Ok(events)
}

fn take(events: &[StoredEvent], batch: &mut Batch, after: &mut AfterCheck) {
    for event in events {
        match projector::decode(event) {
            Some(Understood::Happened(happening)) => {
                after.hear(&happening, event);
                batch.happenings.push(happening);
            }
            Some(Understood::Unreadable(trouble)) => {
                after.cannot_read(&trouble);
                batch.unreadable.push(trouble);
            }
            None => {}
        }
    }
}

/// Applies what was gathered, after which other books may come; answers how many events that were.
async fn write(batch: &mut Batch, build: &mut Build) -> anyhow::Result<u64> {
    let batch = std::mem::take(batch).in_order();
    build.apply(&batch).await?;
    build.rewind().await?;
    Ok(batch.len() as u64)
}
