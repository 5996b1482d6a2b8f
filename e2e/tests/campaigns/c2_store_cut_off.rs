//! The event store cut off from command APIs under load, for a second and for half a minute: no acknowledged command is lost or doubled.

use super::writers::Writers;
use e2e::Topology;
use std::time::Duration;

const OUTAGES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_commands_are_told_so_queries_go_on_and_nothing_is_lost() {
    for mut run in campaign::runs("C2", 1) {
        let mut topology = Topology::start().await;
        let writers = Writers::begin(&topology, &mut run).await;
        // One of the two hangs, the other is gone.
        let hangs_first = run.rng.bool();
        for (outage, hangs) in OUTAGES.into_iter().zip([hangs_first, !hangs_first]) {
            writers.book(50).await;
            let store = &mut topology.event_store;
            if hangs {
                store.freeze().await;
            } else {
                store.kill();
            }
            let away = tokio::time::sleep(outage);
            tokio::pin!(away);
            writers.be_refused(20).await;
            let queries = topology.query_api.site();
            loop {
                assert_eq!(queries.get("/books?size=1").await.status, 200);
                tokio::select! {
                    () = &mut away => break,
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
            if hangs {
                topology.event_store.thaw();
            } else {
                topology.event_store.start_again().await;
            }
        }
        writers.book(50).await;
        writers.are_kept_their_word(&topology).await;
    }
}
