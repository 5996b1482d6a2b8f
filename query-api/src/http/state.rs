//! What all routes share.

use super::changes::Live;
use super::kept::Kept;
use crate::headers::{AGE, POSITION, STALE};
use read_model::Reader;
use service_kit::Problem;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Each request has its own, at the price of one count.
pub(super) type Shared = Arc<Common>;

/// The reader of the views, those who follow what changes, and what was written lately.
pub(super) struct Common {
    pub(super) reader: Reader,
    pub(super) live: Live,
    pub(super) kept: Kept,
}

impl Common {
    pub(super) fn new(reader: Reader, shutdown: CancellationToken) -> Self {
        Self { live: Live::follow(reader.clone(), shutdown), kept: Kept::new(), reader }
    }

    /// A problem that says of itself what every answer does, if that is known: how far the read models are, and how old that is.
    pub(super) fn placed(&self, problem: Problem) -> Problem {
        let Some(now) = self.reader.standing() else { return problem };
        let is_placed = problem.headers().iter().any(|(name, _)| *name == POSITION);
        let problem = if is_placed { problem } else { problem.header(POSITION, &now.position.to_string()) };
        let problem = problem.header(AGE, &now.age.as_millis().to_string());
        if now.stale { problem.header(STALE, "true") } else { problem }
    }
}
