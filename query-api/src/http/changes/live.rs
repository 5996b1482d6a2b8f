//! The beat by which all clients follow, so that what one is sent is what others are sent too, and is written once.

use super::message::{self, Message};
use crate::http::shown::Shown;
use moka::future::Cache;
use read_model::{Column, Filter, Key, ListRequest, Mark, Order, Place, Reader, ReaderError};
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

/// Where the read models are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) position: u64,
    pub(super) generation: i32,
    /// Whether this is the last beat.
    pub(super) closing: bool,
}

/// The beat, and what was written for it.
#[derive(Clone)]
pub(in crate::http) struct Live {
    beats: watch::Receiver<Beat>,
    messages: Cache<(TypeId, i32, u64, u64), Arc<Message>>,
}

impl Live {
    /// Beats until `shutdown`.
    pub(in crate::http) fn follow(reader: Reader, shutdown: CancellationToken) -> Self {
        let (sender, beats) = watch::channel(Beat::default());
        tokio::spawn(async move {
            shutdown.run_until_cancelled(beat(&reader, &sender)).await;
            sender.send_modify(|beat| beat.closing = true);
        });
        Self { beats, messages: Cache::new(MESSAGES) }
    }

    pub(super) fn beats(&self) -> watch::Receiver<Beat> {
        self.beats.clone()
    }

    /// What brings a client from `at` to `beat`, or nearer to it if that is much.
    pub(super) async fn since<V: Shown>(
        &self,
        reader: &Reader,
        at: u64,
        beat: Beat,
    ) -> Result<Arc<Message>, ReaderError> {
        let key = (TypeId::of::<V>(), beat.generation, at, beat.position);
        let writing = async { write::<V>(reader, at).await.map(Arc::new) };
        self.messages.try_get_with(key, writing).await.map_err(|error| ReaderError::clone(&error))
    }
}

async fn beat(reader: &Reader, sender: &watch::Sender<Beat>) {
    loop {
        let Beat { position, generation, .. } = *sender.borrow();
        if !reader.wait_for_change(position, generation).await {
            return;
        }
        if let Some(now) = reader.standing() {
            sender.send_replace(Beat { position: now.position, generation: now.generation, closing: false });
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
    Ok(message::written::<V>(position, found.generation, &found.value.rows))
}
