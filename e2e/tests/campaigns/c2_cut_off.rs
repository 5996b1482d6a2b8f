//! Event store and PostgreSQL cut off from the topology under load, for a second and for half a minute: nothing acknowledged is lost.

use super::writers::Writers;
use e2e::{PlainTopology, Site, eventually};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const OUTAGES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How often it is looked at what has to go on.
const LOOK: Duration = Duration::from_millis(200);

/// Who could be restarted because a store is away, and must not be.
const SERVICES: [&str; 6] =
    ["command-api-1", "command-api-2", "query-api-1", "query-api-2", "projector-1", "projector-2"];

/// Who is away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Events,
    Views,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_store_is_away_clients_of_the_gateway_are_told_so_and_nothing_is_lost() {
    for mut run in campaign::runs("C2", 1) {
        // As in production: the test's own would wait longer than the shorter outage lasts.
        let topology = PlainTopology::start_with(&[("STORE_TIMEOUT_MS", "777".to_owned())]).await;
        let (gateway, command_api) = (topology.site("gateway"), topology.site("command-api-1"));
        let processes = || SERVICES.map(|name| topology.part(name)["pid"].clone());
        let before = processes();
        let writers = Writers::begin(&topology, &mut run).await;
        for store in [Store::Events, Store::Views] {
            // One of the two hangs, the other is gone.
            let hangs_first = run.rng.bool();
            for (outage, hangs) in OUTAGES.into_iter().zip([hangs_first, !hangs_first]) {
                writers.book(50).await;
                store.leaves(&topology, hangs).await;
                let away = tokio::time::sleep(outage);
                tokio::pin!(away);
                // What does not need it goes on.
                match store {
                    Store::Events => writers.be_refused(20).await,
                    Store::Views => writers.book(50).await,
                }
                loop {
                    goes_on(store, &gateway, &command_api).await;
                    tokio::select! {
                        () = &mut away => break,
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                store.comes_back(&topology, hangs);
                let back = Instant::now();
                is_whole(&writers, &gateway, &command_api).await;
                let how = if hangs { "hung" } else { "was gone" };
                eprintln!("{store:?} {how} for {outage:?}; whole again {:?} after", back.elapsed());
            }
        }
        writers.book(50).await;
        assert_eq!(processes(), before, "a service was restarted because a store was away");
        writers.are_kept_their_word().await;
    }
}

impl Store {
    async fn leaves(self, topology: &PlainTopology, hangs: bool) {
        if !hangs {
            topology.look_away().await;
        }
        match (self, hangs) {
            (Self::Events, true) => topology.signal("event-store", Signal::STOP),
            (Self::Events, false) => topology.signal("event-store", Signal::KILL),
            (Self::Views, true) => topology.freeze_postgres().await,
            (Self::Views, false) => topology.kill_postgres(),
        }
    }

    fn comes_back(self, topology: &PlainTopology, hangs: bool) {
        match (self, hangs) {
            (_, false) => topology.look_again(),
            (Self::Events, true) => topology.signal("event-store", Signal::CONT),
            (Self::Views, true) => topology.thaw_postgres(),
        }
    }
}

/// Queries are answered, whichever store is away; commands are when it is not theirs; and nobody is taken for dead.
async fn goes_on(away: Store, gateway: &Site, command_api: &Site) {
    let listed = gateway.get("/books?size=1").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let ready = command_api.get("/readyz").await;
    assert!(away == Store::Events || ready.status == 200, "{ready:?}");
    assert_eq!(command_api.get("/livez").await.status, 200);
}

/// A command that was sent now is booked, and seen in a view; and the command API that is looked at is ready, too, which may be
/// another than the one that booked it.
async fn is_whole(writers: &Writers, gateway: &Site, command_api: &Site) {
    writers.book(10).await;
    eventually("the command API is ready", async || command_api.try_get("/readyz").await?.wanted(200)).await;
    let path = format!("/books?size=1&minPosition={}&wait=1000", writers.latest());
    eventually("the views have come so far", async || gateway.try_get(&path).await?.wanted(200)).await;
}
