//! Documents that were asked for lately, as they were written: a list that many look at is written once for each state of
//! the read models, and not for each who looks.

use axum::body::Bytes;
use moka::future::Cache;
use read_model::{At, Reader};

/// How much is kept, in bytes.
const BYTES: u64 = 32 << 20;

/// The latest document of each question that is asked often. A question says all that the document depends on but the state.
pub(super) struct Kept(Cache<String, At<Bytes>>);

impl Kept {
    pub(super) fn new() -> Self {
        let weight = |question: &String, document: &At<Bytes>| {
            u32::try_from(question.len() + document.value.len()).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(BYTES).weigher(weight).build())
    }

    /// The document, if it was written of the state that the read models are in.
    pub(super) async fn get(&self, question: &str, reader: &Reader) -> Option<At<Bytes>> {
        let now = reader.standing()?;
        let kept = self.0.get(question).await?;
        (kept.state() == now.state()).then(|| now.map(|_| kept.value))
    }

    /// Keeps a document instead of that of an earlier state.
    pub(super) async fn put(&self, question: String, document: &At<Bytes>) {
        self.0.insert(question, document.clone()).await;
    }
}
