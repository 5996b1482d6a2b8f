//! `Streams.Read` that does not end: a subscription to a stream or to `$all`.
//!
//! There is one loop: read on from the cursor; where nothing is left, wait for a commit. Events are always read from
//! the log, never handed over live, so none is missed, doubled or out of order, and a slow client holds nothing up.

use super::proposal::unsigned;
use super::read::PAGE;
use super::read_options::{AllFilter, Form, Source, Starting};
use super::responses::{End, Gone, Pages, Responses, respond};
use super::{Streams, identifiers, recorded, status};
use crate::log::event::TOMBSTONE;
use crate::log::{AllFrom, AllPage, Limit, Links, Log, Position, Revision, StreamFrom, StreamPage};
use crate::memory::Memory;
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::{
    CaughtUp, Checkpoint, Content, Position as WirePosition, SubscriptionConfirmation,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tonic::Response;
use uuid::Uuid;

pub(super) fn subscribe(
    streams: &Streams,
    unread: Memory,
    source: Source,
    form: Form,
) -> Response<Responses<ReadResp>> {
    let Streams { log, limits, shutdown, subscriptions, .. } = streams.clone();
    // Unique within this store's life: the store's id, the time and a number.
    let number = subscriptions.fetch_add(1, Ordering::Relaxed);
    let seed = format!("{number} {}", service_kit::clock::unix_micros());
    let subscription_id = Uuid::new_v5(&log.id(), seed.as_bytes()).to_string();
    let under_way = log.figures().subscription();
    respond(shutdown, unread, move |pages| async move {
        let _under_way = under_way;
        let confirmation = Content::Confirmation(SubscriptionConfirmation { subscription_id });
        match source {
            Source::Stream { identifier, from, direction: _ } => {
                let stream = identifiers::stream_name(identifier, &limits)?;
                pages.put(vec![recorded::response(confirmation)]).await?;
                follow_stream(&log, stream, from, form, &pages).await
            }
            Source::All { from, direction: _, filter } => {
                pages.put(vec![recorded::response(confirmation)]).await?;
                follow_all(&log, from, filter, form, &pages).await
            }
        }
    })
}

/// Follows a stream from after revision `from`. A stream that does not exist yet is waited for.
async fn follow_stream(
    log: &Log,
    stream: Arc<str>,
    from: Starting<Revision>,
    form: Form,
    pages: &Pages<ReadResp>,
) -> Result<(), End> {
    let mut committed = log.committed();
    // A stream that is deleted for ever before the subscription begins has nothing to follow. One that is deleted later
    // is followed through its tombstone.
    let nothing = Limit { events: 0, ..PAGE };
    let last = match log.read_stream(stream.clone(), StreamFrom::Forwards(0), nothing, Links::Keep).await? {
        StreamPage::Found { last, .. } => Some(last),
        StreamPage::Missing { last } => last,
        StreamPage::Tombstoned => return Err(status::stream_deleted(&stream).into()),
    };
    let mut next = match from {
        Starting::Start => 0,
        Starting::At(revision) => revision.saturating_add(1),
        Starting::End => last.map_or(0, |last| last + 1),
    };
    let mut live = false;
    loop {
        committed.borrow_and_update();
        let from = StreamFrom::ThroughTombstone(next);
        let read = || log.read_stream(stream.clone(), from, PAGE, form.links);
        let (page, place) = pages.read(read, StreamPage::fill).await?;
        let mut answers = Vec::new();
        let (mut at_end, mut ends) = (true, matches!(page, StreamPage::Tombstoned));
        // What is hidden when the subscription comes to it is passed, and does not come later.
        match page {
            StreamPage::Found { events, next: after, end, first, last } => {
                answers.extend(events.into_iter().map(|event| recorded::event(event, form)));
                if let StreamFrom::ThroughTombstone(after) = after {
                    next = after;
                }
                next = next.max(first.min(last.saturating_add(1)));
                at_end = end;
                ends = end && last == TOMBSTONE;
            }
            StreamPage::Missing { last } => next = next.max(last.map_or(0, |last| last + 1)),
            StreamPage::Tombstoned => {}
        }
        if ends {
            place.put(answers);
            return Err(status::stream_deleted(&stream).into());
        }
        if at_end && !live {
            let stream_revision = (next > 0).then(|| next - 1);
            answers.push(caught_up(stream_revision, None));
        }
        live = at_end;
        place.put(answers);
        if at_end {
            next_commit(&mut committed, pages).await?;
        }
    }
}

/// Follows `$all` from after position `from`.
async fn follow_all(
    log: &Log,
    from: Starting<Position>,
    filter: Option<AllFilter>,
    form: Form,
    pages: &Pages<ReadResp>,
) -> Result<(), End> {
    let mut committed = log.committed();
    let mut cursor = match from {
        Starting::Start => 0,
        Starting::At(position) => position,
        Starting::End => *committed.borrow(),
    };
    let mut checkpoints = filter.as_ref().map(|filter| Checkpoints::new(filter.checkpoint_interval, cursor));
    let (filter, _room) = filter.map(|filter| (filter.filter, filter.room)).unzip();
    let mut live = false;
    loop {
        committed.borrow_and_update();
        // A page ends where a checkpoint is due.
        let due = checkpoints.as_ref().map_or(usize::MAX, Checkpoints::due);
        let limit = Limit { considered: PAGE.considered.min(due), ..PAGE };
        let read = || log.read_all(AllFrom::After(cursor), filter.clone(), limit, form.links);
        let (page, place) = pages.read(read, AllPage::fill).await?;
        let AllPage { events, considered, next, end } = page;
        if let AllFrom::After(position) = next {
            cursor = position;
        }
        let mut answers: Vec<_> = events.into_iter().map(|event| recorded::event(event, form)).collect();
        let goes_live = end && !live;
        if let Some(checkpoints) = &mut checkpoints {
            answers.extend(checkpoints.pass(considered, cursor, goes_live));
        }
        if goes_live {
            answers.push(caught_up(None, (cursor > 0).then(|| unsigned(cursor))));
        }
        live = end;
        place.put(answers);
        if end {
            next_commit(&mut committed, pages).await?;
        }
    }
}

/// How far a filtered subscription has come since it last told its client.
struct Checkpoints {
    interval: usize,
    passed: usize,
    last: Position,
}

impl Checkpoints {
    fn new(interval: usize, start: Position) -> Self {
        Self { interval, passed: 0, last: start }
    }

    /// After how many more events a checkpoint is due.
    fn due(&self) -> usize {
        self.interval - self.passed
    }

    /// Passes `considered` events up to `cursor`; gives a checkpoint if one is due or the subscription goes live,
    /// but never the same one twice.
    fn pass(&mut self, considered: usize, cursor: Position, goes_live: bool) -> Option<ReadResp> {
        self.passed += considered;
        if self.passed < self.interval && !goes_live {
            return None;
        }
        self.passed = 0;
        if cursor <= self.last {
            return None;
        }
        self.last = cursor;
        let position = unsigned(cursor);
        Some(recorded::response(Content::Checkpoint(Checkpoint {
            commit_position: position,
            prepare_position: position,
            timestamp: Some(recorded::now()),
        })))
    }
}

fn caught_up(stream_revision: Option<Revision>, position: Option<u64>) -> ReadResp {
    let position =
        position.map(|position| WirePosition { commit_position: position, prepare_position: position });
    recorded::response(Content::CaughtUp(CaughtUp {
        timestamp: Some(recorded::now()),
        stream_revision,
        position,
    }))
}

/// Waits until more is committed than was when the cursor was last read on. Never ends with success for ever: a
/// subscription ends with a status, since clients take a plain end for a bug of theirs.
async fn next_commit(committed: &mut watch::Receiver<Position>, pages: &Pages<ReadResp>) -> Result<(), End> {
    tokio::select! {
        changed = committed.changed() => changed.map_err(|_| End::Status(status::shutting_down())),
        () = pages.gone() => Err(Gone.into()),
    }
}
