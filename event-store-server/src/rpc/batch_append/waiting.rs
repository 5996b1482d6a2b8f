//! The answers of a session that wait to be sent, and the memory that they take.

use crate::memory::Room;
use crate::protocol::streams::BatchAppendResp;
use crate::rpc::responses::{End, Pages};
use prost::Message as _;
use tokio::sync::OwnedSemaphorePermit;

/// An answer, with what its append holds.
pub(super) struct Answered {
    pub(super) answer: BatchAppendResp,
    pub(super) held: Option<OwnedSemaphorePermit>,
}

/// Answers that wait. A new one is counted as its append was, until there is room for it where everything is counted that
/// clients do not take. A session that finds none there for too long ends, so that it keeps nothing from the appends of others.
#[derive(Default)]
pub(super) struct Waiting {
    new: Vec<BatchAppendResp>,
    bytes: usize,
    held: Option<OwnedSemaphorePermit>,
    /// These have room, and wait for a place.
    counted: Vec<BatchAppendResp>,
    room: Option<Room>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.counted.is_empty()
    }

    pub(super) fn add(&mut self, Answered { answer, held }: Answered) {
        self.bytes += answer.encoded_len();
        self.new.push(answer);
        match (&mut self.held, held) {
            (Some(all), Some(held)) => all.merge(held),
            (all @ None, held) => *all = held,
            (Some(_), None) => {}
        }
    }

    /// Goes a step on: some have room then, or are on their way to the client. There have to be some; it may be broken off at
    /// any time.
    pub(super) async fn go_on(&mut self, pages: &Pages<BatchAppendResp>) -> Result<(), End> {
        let Self { new, bytes, held, counted, room } = self;
        tokio::select! {
            more = pages.room(new.len(), *bytes), if !new.is_empty() => {
                let more = more?;
                match room {
                    Some(room) => room.add(more),
                    None => *room = Some(more),
                }
                counted.append(new);
                (*bytes, *held) = (0, None);
                Ok(())
            }
            put = pages.put_all_of(counted, room), if !counted.is_empty() => Ok(put?),
        }
    }
}
