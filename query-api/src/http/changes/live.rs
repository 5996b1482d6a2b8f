//! The beat by which all clients follow, so that what one is sent is what others are sent too, and is written once.

use super::message::{self, Message};
use crate::http::shown::Shown;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use read_model::{Column, Filter, Key, ListRequest, Mark, Order, Place, Reader, ReaderError, State};
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The shortest time between two beats. The first change after a pause is told at once.
const BETWEEN: Duration = Duration::from_millis(100);

/// The most books in a message. Who was away for long gets several.
const BOOKS: u32 = 500;

/// How many messages are kept for others who are sent the same.
const MESSAGES: u64 = 256;

/// The state that the read models are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) state: State,
}

/// The beat, and what was written for it.
pub(in crate::http) struct Live {
    beats: watch::Receiver<Beat>,
    messages: Cache<(TypeId, State, u64), Arc<Message>>,
}

impl Live {
    /// Beats until `shutdown`.
    pub(in crate::http) fn follow(reader: Reader, shutdown: CancellationToken) -> Self {
        let (sender, beats) = watch::channel(Beat::default());
        tokio::spawn(async move {
            shutdown.run_until_cancelled(beat(&reader, &sender)).await;
        });
        // Nobody asks again for what was sent on earlier beats, however many were sent it.
        let messages = Cache::builder().max_capacity(MESSAGES).eviction_policy(EvictionPolicy::lru()).build();
        Self { beats, messages }
    }

    pub(super) fn beats(&self) -> watch::Receiver<Beat> {
        self.beats.clone()
    }

    /// The state of the first beat, or of the latest. It comes as soon as the read models have been read.
    pub(super) async fn first(&self) -> State {
        let mut beats = self.beats();
        let begun = |beat: &Beat| beat.state != State::default();
        // The last beat stays when nobody beats any more.
        beats.wait_for(begun).await.map_or_else(|_| State::default(), |beat| beat.state)
    }

    /// What brings a client from `at` to `beat`, or nearer to it if that is much.
    pub(super) async fn since<V: Shown>(
        &self,
        reader: &Reader,
        at: u64,
        beat: Beat,
    ) -> Result<Arc<Message>, ReaderError> {
        let key = (TypeId::of::<V>(), beat.state, at);
        let writing = async {
            let message = write::<V>(reader, at).await?;
            if message.position <= at && message.position < beat.state.position {
                let lags = "a replica lags behind the one that is followed".to_owned();
                return Err(ReaderError::Unavailable(lags));
            }
            Ok(Arc::new(message))
        };
        self.messages.try_get_with(key, writing).await.map_err(|error| ReaderError::clone(&error))
    }
}

async fn beat(reader: &Reader, sender: &watch::Sender<Beat>) {
    loop {
        let Beat { state } = *sender.borrow();
        if !reader.wait_for_change(state).await {
            return;
        }
        if let Some(now) = reader.standing() {
            sender.send_replace(Beat { state: now.state() });
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn write<V: Shown>(reader: &Reader, at: u64) -> Result<Message, ReaderError> {
    // After every book of that position, of which there is one.
    let mark = Mark { key: Key::Position(at), book_id: read_model::BookId::MAX };
    let request = ListRequest {
        filter: Filter::default(),
        sort: vec![(Column::Position, Order::Ascending)],
        place: Place::After(mark),
        size: BOOKS,
    };
    let found = V::list(reader, &request).await?;
    // Where there is more, the rest changed later than the last of these.
    let position = match &found.value.next {
        Some(Mark { key: Key::Position(position), .. }) => *position,
        _ => found.position,
    };
    Ok(message::written::<V>(State { position, ..found.state() }, &found.value.rows))
}
