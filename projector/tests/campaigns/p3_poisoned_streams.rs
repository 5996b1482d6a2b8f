//! Twenty kinds of events that nobody can apply, anywhere in the log, as history and live: only their streams wait, and they
//! go on when an operator takes those events out.

use crate::cluster;
use crate::given::{all_parked, append_poison, poison, skip, until, warehouse};
use crate::library::{Library, end};

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_stream_waits_where_it_is_and_all_others_flow_until_it_is_skipped() {
    for mut run in campaign::runs("P3", 2) {
        let mut library = Library::start(cluster::database(&format!("p3_{}", run.seed)).await).await;
        let mut kinds: Vec<usize> = (0..poison(1).len()).collect();
        assert_eq!(kinds.len(), 20);
        run.rng.shuffle(&mut kinds);
        // Before that it is history when the projector comes.
        let live_from = run.rng.usize(0..kinds.len());
        let (mut projector, mut expected) = (None, Vec::new());
        for (turn, kind) in kinds.into_iter().enumerate() {
            if turn == live_from {
                projector = Some(library.projector("p3"));
            }
            let book = 100 + u64::try_from(kind).unwrap();
            let (before, later) = (run.rng.usize(0..20), run.rng.usize(0..20));
            if before > 0 {
                warehouse(&library.store, book, &vec![1; before]).await;
            }
            append_poison(&library.store, book, kind).await;
            if later > 0 {
                warehouse(&library.store, book, &vec![1; later]).await;
            }
            library.write(&mut run).await;
            let (before, later) = (u64::try_from(before).unwrap(), u64::try_from(later).unwrap());
            library.events += before + 1 + later;
            expected.push((book, before, later));
        }
        library.caught_up().await;
        expected.sort_unstable();
        let parked = async || -> Vec<(u64, u64, u64)> {
            let parked = all_parked(&library.database).await;
            parked.iter().map(|one| (one.book_id.get(), one.revision, one.later)).collect()
        };
        until("those wait, and no others", async || parked().await == expected).await;
        for (book, revision, _) in &expected {
            library.last = skip(&library.store, *book, *revision).await;
            library.events += 1;
        }
        library.nothing_is_on_its_way().await;
        library.verify().await;
        projector.iter_mut().for_each(end);
    }
}
