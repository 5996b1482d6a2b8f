//! Events are delivered twice, late and out of order, as history and live: the read models equal the log.

use crate::cluster;
use crate::library::{Library, end};
use crate::wire::{Fate, Wire};
use campaign::Rng;
use std::sync::Mutex;
use std::time::Duration;

/// So many events a run.
const EVENTS: u64 = 2_000;

/// Of a thousand events so many come twice, and as many late. Each may cost one more reading.
const OF_A_THOUSAND: u16 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_or_late_are_applied_once_and_in_order() {
    for mut run in campaign::runs("P2", 5) {
        let mut library = Library::start(cluster::database(&format!("p2_{}", run.seed)).await).await;
        let rng = Mutex::new(Rng::with_seed(run.rng.u64(..)));
        let wire = Wire::to(&library.store.url(), move |_| {
            let mut rng = rng.lock().unwrap();
            let later = Duration::from_millis(rng.u64(0..100));
            match rng.u16(0..1_000) {
                0..OF_A_THOUSAND => Fate::Twice(later),
                drawn if drawn < 2 * OF_A_THOUSAND => Fate::Late(later),
                _ => Fate::Comes,
            }
        })
        .await;
        library.heard_over = wire.url();
        // Half of it is history when the projector comes.
        while library.events < EVENTS / 2 {
            library.write(&mut run).await;
        }
        let mut projector = library.projector("p2");
        while library.events < EVENTS {
            library.write(&mut run).await;
        }
        library.nothing_is_on_its_way().await;
        library.verify().await;
        end(&mut projector);
    }
}
