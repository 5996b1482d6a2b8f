//! Keeping the generations current that do not serve, so that serving can go back to one of them at once.

use crate::shift::Projector;
use event_store::EventStore;
use read_model::lease::WRITER_SETTINGS;
use read_model::{DatabaseError, generation};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the generations are looked through.
const PERIOD: Duration = Duration::from_secs(1);

impl<Store: EventStore + Clone> Projector<Store> {
    /// Works on every kept generation that does not serve, each with a lease of its own, until `shutdown`.
    pub(crate) async fn keep_others(self, shutdown: CancellationToken) {
        let mut shifts = JoinSet::new();
        let mut working: HashMap<i32, CancellationToken> = HashMap::new();
        while !shutdown.is_cancelled() {
            // While the database is away, the shifts know it themselves.
            if let Err(error) = self.look_through(&mut working, &mut shifts, &shutdown).await {
                tracing::debug!(%error, "the generations cannot be looked through");
            }
            shutdown.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
        }
        while shifts.join_next().await.is_some() {}
    }

    /// Begins and ends shifts as generations come and go, over one connection until that fails.
    async fn look_through(
        &self,
        working: &mut HashMap<i32, CancellationToken>,
        shifts: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), DatabaseError> {
        let connection = self.database.connect("bookstock projector's generations", WRITER_SETTINGS).await?;
        while !shutdown.is_cancelled() {
            let kept = generation::kept_beside_serving(&connection).await?;
            working.retain(|generation, stop| {
                let stays = kept.contains(generation) && !stop.is_cancelled();
                if !stays {
                    stop.cancel();
                }
                stays
            });
            for generation in kept {
                working.entry(generation).or_insert_with(|| {
                    let stop = shutdown.child_token();
                    let (projector, stopped) = (self.clone().beside(generation), stop.clone());
                    shifts.spawn(async move {
                        projector.run(stopped.clone()).await;
                        // It may end by itself, because its generation serves.
                        stopped.cancel();
                    });
                    stop
                });
            }
            while shifts.try_join_next().is_some() {}
            shutdown.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
        }
        Ok(())
    }
}
