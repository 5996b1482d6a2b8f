//! Clients that look at the histories of books, which are read from the database each time, whatever happens.

use campaign::Rng;
use e2e::{Answer, Site, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// More than the connections of two query APIs.
const READERS: usize = 64;

/// How long whoever was refused waits.
const PAUSE: Duration = Duration::from_millis(20);

/// They, at work until they are dropped.
pub(super) struct Readers {
    at_work: JoinSet<()>,
    served: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Readers {
    /// Begins with these books, as soon as all of them can be seen.
    pub(super) async fn begin(site: &Site, books: u64, rng: &mut Rng) -> Self {
        for book in 1..=books {
            let path = format!("/books/{book}/history");
            eventually("the book is seen", async || site.try_get(&path).await?.wanted(200)).await;
        }
        let (served, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut at_work = JoinSet::new();
        for _ in 0..READERS {
            let (site, mut rng) = (site.clone(), rng.fork());
            let (served, refused) = (Arc::clone(&served), Arc::clone(&refused));
            at_work.spawn(async move {
                loop {
                    let path = format!("/books/{}/history?order=desc", rng.u64(1..=books));
                    // An answer comes in time, or this fails.
                    if is_served(&site.get(&path).await) {
                        served.fetch_add(1, Ordering::Relaxed);
                    } else {
                        refused.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        Self { at_work, served, refused }
    }

    /// Waits until so many more are served.
    pub(super) async fn are_served(&mut self, more: usize) {
        let served = Arc::clone(&self.served);
        self.until("served", &served, more).await;
    }

    /// Waits until so many more are refused.
    pub(super) async fn are_refused(&mut self, more: usize) {
        let refused = Arc::clone(&self.refused);
        self.until("refused", &refused, more).await;
    }

    async fn until(&mut self, what: &str, count: &AtomicUsize, more: usize) {
        let goal = count.load(Ordering::Relaxed) + more;
        eventually(&format!("readers are {what}"), async || {
            if let Some(ended) = self.at_work.try_join_next() {
                ended.unwrap();
            }
            match count.load(Ordering::Relaxed) {
                so_far if so_far >= goal => Ok(()),
                so_far => Err(format!("{so_far} of {goal} are {what}")),
            }
        })
        .await;
    }
}

/// Whoever is not served is told to come again.
fn is_served(answer: &Answer) -> bool {
    if answer.status == 200 {
        return true;
    }
    answer.problem(503, "read-model-unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    false
}
