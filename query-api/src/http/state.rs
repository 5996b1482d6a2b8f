//! What all routes share.

use super::changes::Live;
use super::kept::Kept;
use read_model::Reader;
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
}
