//! Of two projectors the active one is paused past its lease, also within a transaction, and wakes up: it writes nothing.

use crate::cluster;
use crate::given::until;
use crate::library::{COMMIT, Library, POINTS, end};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;

fn signal(projector: &Child, signal: Signal) {
    kill_process(Pid::from_child(projector), signal).unwrap();
}

/// Two owners of one projection is what other systems' users met:
/// <https://github.com/JasperFx/wolverine/issues/4240>.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_sleeps_past_its_lease_and_wakes_up_writes_nothing() {
    for mut run in campaign::runs("P5", 5) {
        let mut library = Library::start(cluster::database(&format!("p5_{}", run.seed)).await).await;
        // In each run at another point of a write, or between two of them.
        let point = usize::try_from(run.seed).unwrap() % (POINTS.len() + 1);
        let mut sleeper = library.projector("sleeper");
        library.write(&mut run).await;
        library.caught_up().await;
        let mut standby = library.projector("standby");
        if point < COMMIT {
            library.hold(point).await;
            library.write(&mut run).await;
            library.somebody_waits(point).await;
            signal(&sleeper, Signal::STOP);
            // Its transaction stays open now; PostgreSQL ends it.
            library.release(point).await;
        } else {
            signal(&sleeper, Signal::STOP);
            library.write(&mut run).await;
        }
        library.caught_up().await;
        until("the standby has taken over", async || library.owner().await == "standby").await;

        signal(&sleeper, Signal::CONT);
        library.write(&mut run).await;
        library.caught_up().await;
        library.verify().await;
        assert_eq!(library.owner().await, "standby");
        end(&mut sleeper);
        end(&mut standby);
    }
}
