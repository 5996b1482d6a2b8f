//! Hearing: events come in one by one, and go on decoded and in batches.

use crate::status::Status;
use domain::book::{BookEvent, BookId};
use event_store::{Heard, StoredEvent};
use futures_util::{Stream, StreamExt as _};
use read_model::Happening;
use read_model::batch::Batch;
use read_model::sift::Trouble;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// From one batch to the next it takes so long at least, unless the next is full. A transaction costs the same for one
/// event as for twenty, so under load this leaves the processors to those who wait for them.
const PACE: Duration = Duration::from_millis(20);

/// What comes next, in the order in which it was heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Events.
    Batch(Batch),
    /// The event store was lost. What follows comes from whichever answers at its address then.
    Interrupted,
}

/// An event of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Understood {
    /// It can be applied.
    Happened(Happening),
    /// It cannot be read.
    Unreadable(Trouble),
}

/// What is being heard, beside whoever writes it.
#[derive(Debug)]
pub(crate) struct Hearing {
    receiver: mpsc::Receiver<Next>,
    gathering: JoinHandle<()>,
}

impl Hearing {
    /// What comes next; nothing when the runtime shuts down.
    pub(crate) async fn next(&mut self) -> Option<Next> {
        self.receiver.recv().await
    }

    /// Ends it: nothing is heard, or counted as heard, after that.
    pub(crate) async fn stop(self) {
        self.gathering.abort();
        // It was cancelled, or had ended.
        let _ = self.gathering.await;
    }
}

/// Decodes what is heard and hands it on in batches: as soon as the writer is free and the last batch is not [too
/// young](PACE), whatever has come by then, `most` events at most. So a lone event goes on at once, and while history is
/// read the batches are full. It goes on beside the writer, so that decoding and writing overlap. It ends with the
/// receiver.
pub(crate) fn in_batches(
    heard: impl Stream<Item = Heard> + Send + Unpin + 'static,
    most: usize,
    status: Option<Status>,
) -> Hearing {
    // The writer has one batch, and one waits: a deeper queue would only make both smaller.
    let (sender, receiver) = mpsc::channel(1);
    Hearing { receiver, gathering: tokio::spawn(gather(heard, most, status, sender)) }
}

async fn gather(
    mut heard: impl Stream<Item = Heard> + Unpin,
    most: usize,
    status: Option<Status>,
    sender: mpsc::Sender<Next>,
) {
    let mut batch = Batch::default();
    // What goes on behind the batch; nothing more is heard before it has.
    let mut behind = None;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            biased;
            next = heard.next(), if batch.len() < most && behind.is_none() => match next {
                Some(Heard::Event(event)) => {
                    let begins = batch.is_empty();
                    if take(&mut batch, &event) && let Some(status) = &status {
                        status.heard(event.position.0, event.created_micros, begins);
                    }
                }
                Some(Heard::CaughtUp) => {
                    tracing::debug!("all events there are have been heard");
                    if let Some(status) = &status {
                        status.caught_up(true);
                    }
                }
                Some(Heard::Interrupted(reason)) => {
                    tracing::warn!(reason, "the event store was lost; following goes on when it is back");
                    behind = Some(Next::Interrupted);
                    if let Some(status) = &status {
                        status.caught_up(false);
                    }
                }
                None => return,
            },
            free = turn(&sender, (batch.len() < most && behind.is_none()).then_some(due)),
                if !batch.is_empty() || behind.is_some() =>
            {
                let Some(free) = free else { return };
                due = Instant::now() + PACE;
                if !batch.is_empty() {
                    free.send(Next::Batch(std::mem::take(&mut batch)));
                } else if let Some(next) = behind.take() {
                    free.send(next);
                }
            }
            () = sender.closed() => return,
        }
    }
}

/// Takes an event into a batch, if it belongs to a book.
pub(crate) fn take(batch: &mut Batch, event: &StoredEvent) -> bool {
    match decode(event) {
        Some(Understood::Happened(happening)) => batch.happenings.push(happening),
        Some(Understood::Unreadable(trouble)) => batch.unreadable.push(trouble),
        None => return false,
    }
    true
}

/// Waits until it is `due`, if there is reason to, and the writer is free. None if it is gone.
async fn turn(sender: &mpsc::Sender<Next>, due: Option<Instant>) -> Option<mpsc::Permit<'_, Next>> {
    if let Some(due) = due.filter(|due| Instant::now() < *due) {
        sleep_until(due).await;
    }
    sender.reserve().await.ok()
}

/// The event with its place, if it belongs to a book: other streams may begin with the same letters, and that the store
/// ended a stream for ever is nothing that happened to its book, which stays as it was.
#[must_use]
pub fn decode(event: &StoredEvent) -> Option<Understood> {
    let Some(book_id) = BookId::of_stream(&event.stream) else {
        tracing::debug!(stream = event.stream, "an event of a stream that is no book's was left out");
        return None;
    };
    if event.is_tombstone() {
        tracing::debug!(stream = event.stream, "the stream is deleted for ever; its book stays as it was");
        return None;
    }
    let read = BookEvent::decode_with_provenance(&event.event_type, &event.data, &event.metadata);
    let (revision, position, event_id) = (event.revision, event.position.0, event.id);
    let unreadable =
        |reason| Some(Understood::Unreadable(Trouble { book_id, revision, position, event_id, reason }));
    match read {
        Ok((event, _)) if event.book_id() != book_id => {
            unreadable(format!("event {revision} is about book {}", event.book_id()))
        }
        Ok((event, provenance)) => {
            Some(Understood::Happened(Happening { book_id, revision, position, event, event_id, provenance }))
        }
        Err(error) => unreadable(format!(
            "event {revision} cannot be read: {error}; if a newer version of bookstock wrote it, update the projector"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;
    use domain::book::Renewed;
    use event_store::{ContentType, Position};
    use futures_util::stream;
    use uuid::Uuid;

    fn event(stream: &str, position: u64) -> StoredEvent {
        let (event_type, data) = BookEvent::Renewed(Renewed {
            book_id: BookId::try_from(1).unwrap(),
            version: "2.0".parse().unwrap(),
            stock: 100,
            occurred_at: Timestamp::default(),
        })
        .encode();
        StoredEvent {
            stream: stream.to_owned(),
            revision: position,
            position: Position(position),
            id: Uuid::from_u128(position.into()),
            event_type: event_type.to_owned(),
            content_type: ContentType::Json,
            data: data.into(),
            metadata: Default::default(),
            created_micros: 0,
        }
    }

    fn unreadable(position: u64) -> StoredEvent {
        StoredEvent { event_type: "Shredded".to_owned(), ..event("book-1", position) }
    }

    /// Hears these events and no more, for ever.
    fn hear(events: impl IntoIterator<Item = StoredEvent>, most: usize) -> Hearing {
        hear_all(events.into_iter().map(Heard::Event).collect(), most)
    }

    fn hear_all(heard: Vec<Heard>, most: usize) -> Hearing {
        in_batches(stream::iter(heard).chain(stream::pending()), most, None)
    }

    fn positions(next: Option<Next>) -> Vec<u64> {
        let Some(Next::Batch(batch)) = next else { panic!("{next:?}") };
        batch.happenings.iter().map(|happening| happening.position).collect()
    }

    #[tokio::test]
    async fn a_lone_event_goes_on_at_once() {
        assert_eq!(positions(hear([event("book-1", 7)], 100).next().await), [7]);
    }

    #[tokio::test]
    async fn what_is_there_goes_on_in_full_batches_in_order() {
        let mut batches = hear((1..=7).map(|position| event("book-1", position)), 3);
        assert_eq!(positions(batches.next().await), [1, 2, 3]);
        assert_eq!(positions(batches.next().await), [4, 5, 6]);
        assert_eq!(positions(batches.next().await), [7]);
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_come_soon_after_a_batch_go_on_together() {
        let (comes, heard) = mpsc::unbounded_channel();
        let heard = stream::unfold(heard, async |mut heard: mpsc::UnboundedReceiver<StoredEvent>| {
            Some((Heard::Event(heard.recv().await?), heard))
        });
        let mut batches = in_batches(Box::pin(heard), 100, None);
        comes.send(event("book-1", 1)).unwrap();
        assert_eq!(positions(batches.next().await), [1]);
        for position in 2..=4 {
            comes.send(event("book-1", position)).unwrap();
            tokio::time::sleep(PACE / 5).await;
        }
        assert_eq!(positions(batches.next().await), [2, 3, 4]);
    }

    #[tokio::test]
    async fn an_unreadable_event_goes_on_beside_the_others_with_what_is_wrong() {
        let mut batches = hear([event("book-1", 1), unreadable(2), event("book-1", 3)], 100);
        let Some(Next::Batch(batch)) = batches.next().await else { panic!("a batch was due") };
        assert_eq!((batch.happenings.len(), batch.unreadable.len()), (2, 1));
        let trouble = &batch.unreadable[0];
        assert_eq!((trouble.revision, trouble.position), (2, 2));
        assert!(trouble.reason.contains("unknown event type \"Shredded\""), "{}", trouble.reason);
    }

    #[tokio::test]
    async fn an_interruption_stands_between_the_events_before_and_after_it() {
        let lost = Heard::Interrupted("gone".to_owned());
        let heard = vec![Heard::Event(event("book-1", 1)), lost, Heard::Event(event("book-1", 2))];
        let mut batches = hear_all(heard, 100);
        assert_eq!(positions(batches.next().await), [1]);
        assert_eq!(batches.next().await, Some(Next::Interrupted));
        assert_eq!(positions(batches.next().await), [2]);
    }

    #[tokio::test]
    async fn an_event_about_another_book_than_its_stream_is_unreadable() {
        let Some(Next::Batch(batch)) = hear([event("book-2", 1)], 100).next().await else {
            panic!("a batch was due")
        };
        assert_eq!(batch.unreadable[0].reason, "event 1 is about book 1");
    }

    #[tokio::test]
    async fn a_stream_that_is_no_books_is_left_out() {
        let events = [event("book-club", 1), event("book-01", 2), event("book-1", 3)];
        assert_eq!(positions(hear(events, 100).next().await), [3]);
    }

    #[tokio::test]
    async fn that_a_stream_is_deleted_for_ever_is_no_event_of_its_book() {
        let deleted = |revision| StoredEvent {
            event_type: "$streamDeleted".to_owned(),
            revision,
            ..event("book-1", revision)
        };
        let tombstone = i64::MAX.cast_unsigned();
        let mut batches = hear([event("book-1", 1), deleted(tombstone), deleted(2)], 100);
        let Some(Next::Batch(batch)) = batches.next().await else { panic!("a batch was due") };
        let unreadable: Vec<u64> = batch.unreadable.iter().map(|trouble| trouble.revision).collect();
        assert_eq!((batch.happenings.len(), unreadable), (1, vec![2]), "only the store itself ends a stream");
    }
}
