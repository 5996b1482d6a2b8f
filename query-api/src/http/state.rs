//! What all routes share.

use super::changes::Live;
use read_model::Reader;
use tokio_util::sync::CancellationToken;

/// The reader of the views, and those who follow what changes.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) reader: Reader,
    pub(super) live: Live,
}

impl Shared {
    pub(super) fn new(reader: Reader, shutdown: CancellationToken) -> Self {
        Self { live: Live::follow(reader.clone(), shutdown), reader }
    }
}
