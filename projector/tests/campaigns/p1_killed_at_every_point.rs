//! A projector is killed (kill -9) between fold, commit and acknowledgement: the read models equal the log.

use crate::cluster;
use crate::library::{COMMIT, Library, POINTS, end};

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_is_killed_at_any_point_of_a_write_leaves_the_read_models_right() {
    for mut run in campaign::runs("P1", 5) {
        let mut library = Library::start(cluster::database(&format!("p1_{}", run.seed)).await).await;
        for (point, what) in POINTS.iter().enumerate() {
            let before = library.position().await;
            library.hold(point).await;
            let mut projector = library.projector("p1");
            library.write(&mut run).await;
            library.somebody_waits(point).await;
            end(&mut projector);
            library.release(point).await;
            library.nobody_is_connected().await;
            // A commit is a commit, though nobody heard of it.
            let advanced = library.position().await > before;
            assert_eq!(advanced, point == COMMIT, "killed at {what:?}");

            let mut projector = library.projector("p1");
            library.write(&mut run).await;
            library.caught_up().await;
            library.verify().await;
            end(&mut projector);
            library.nobody_is_connected().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_is_killed_at_random_moments_leaves_the_read_models_right() {
    for mut run in campaign::runs("P1", 5) {
        let mut library = Library::start(cluster::database(&format!("p1_random_{}", run.seed)).await).await;
        for _ in 0..5 {
            let mut projector = library.projector("p1");
            library.write(&mut run).await;
            tokio::time::sleep(std::time::Duration::from_micros(run.rng.u64(0..50_000))).await;
            end(&mut projector);
        }
        let mut projector = library.projector("p1");
        library.caught_up().await;
        library.verify().await;
        end(&mut projector);
    }
}
