//! PostgreSQL is stopped, killed or frozen for a second under two projectors: nothing is lost or doubled. Half a minute, and the event store: C2.

use crate::cluster::Cluster;
use crate::library::{Library, end};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_postgresql_under_load_loses_and_doubles_nothing() {
    let cluster = Cluster::start();
    for mut run in campaign::runs("N1", 4) {
        let mut library = Library::start(cluster.database(&format!("n1_{}", run.seed)).await).await;
        let (mut active, mut standby) = (library.projector("one"), library.projector("another"));
        let (outage, end_of_it) =
            [("stop", "start"), ("kill", "start"), ("freeze", "thaw")][run.rng.usize(0..3)];
        library.write(&mut run).await;
        tokio::time::sleep(Duration::from_micros(run.rng.u64(0..20_000))).await;
        cluster.command(outage);
        // Commands go on: the store does not need it.
        library.write(&mut run).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.command(end_of_it);
        library.write(&mut run).await;
        library.connect_again().await;
        library.caught_up().await;
        library.verify().await;
        end(&mut active);
        end(&mut standby);
    }
}
