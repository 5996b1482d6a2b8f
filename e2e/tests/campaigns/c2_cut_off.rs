//! Event store and PostgreSQL cut off from the topology under load, for a second and for half a minute: nothing acknowledged is lost, and the views equal the log.

use super::writers::Writers;
use e2e::{PlainTopology, Site, eventually};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const OUTAGES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// The deadline of a command.
const DEADLINE: Duration = Duration::from_millis(777);

/// So long after an outage all is as before.
const RECOVERY: Duration = Duration::from_secs(5);

/// A refusal has so much more time, for its way through the gateway and back; and one of so many may be later than that.
const WAY: Duration = Duration::from_millis(223);
const LATE_OF: usize = 20;

/// How often an outage is tried before it counts that one of these times was exceeded: the machine may have had something else
/// to do.
const TRIES: usize = 3;

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

/// What an outage was like for those outside.
#[derive(Debug)]
struct Outage {
    refused: usize,
    late: usize,
    whole_after: Duration,
}

impl Outage {
    fn is_short_enough(&self) -> bool {
        self.whole_after < RECOVERY && self.late * LATE_OF <= self.refused
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_store_is_away_clients_of_the_gateway_are_told_so_and_nothing_is_lost() {
    for mut run in campaign::runs("C2", 1) {
        // As in production: the test's own would wait longer than the shorter outage lasts.
        let deadline = DEADLINE.as_millis().to_string();
        let topology = PlainTopology::start_with(&[("STORE_TIMEOUT_MS", deadline)]).await;
        let processes = || SERVICES.map(|name| topology.part(name)["pid"].clone());
        let before = processes();
        let writers = Writers::begin(&topology, &mut run).await;
        for store in [Store::Events, Store::Views] {
            // One of the two hangs, the other is gone.
            let hangs_first = run.rng.bool();
            for (away_for, hangs) in OUTAGES.into_iter().zip([hangs_first, !hangs_first]) {
                let mut tried = Vec::new();
                while !tried.last().is_some_and(Outage::is_short_enough) {
                    assert!(tried.len() < TRIES, "{store:?} away for {away_for:?}: {tried:?}");
                    tried.push(outage(&topology, &writers, store, away_for, hangs).await);
                }
                let how = if hangs { "hung" } else { "was gone" };
                eprintln!("{store:?} {how} for {away_for:?}: {tried:?}");
            }
        }
        writers.book(50).await;
        assert_eq!(processes(), before, "a service was restarted because a store was away");
        writers.are_kept_their_word().await;
    }
}

/// The store is away for so long, and what does not need it goes on.
async fn outage(
    topology: &PlainTopology,
    writers: &Writers,
    store: Store,
    away_for: Duration,
    hangs: bool,
) -> Outage {
    let (gateway, command_api) = (topology.site("gateway"), topology.site("command-api-1"));
    writers.book(50).await;
    drop(writers.refusals());
    store.leaves(topology, hangs).await;
    let away = tokio::time::sleep(away_for);
    tokio::pin!(away);
    match store {
        Store::Events => writers.be_refused(20).await,
        Store::Views => writers.book(50).await,
    }
    loop {
        goes_on(topology, store, &gateway, &command_api).await;
        tokio::select! {
            () = &mut away => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    store.comes_back(topology, hangs);
    let back = Instant::now();
    is_whole(writers, &gateway, &command_api).await;
    let whole_after = back.elapsed();
    let refusals = writers.refusals();
    let late = refusals.iter().filter(|took| **took > DEADLINE + WAY).count();
    Outage { refused: refusals.len(), late, whole_after }
}

impl Store {
    /// PostgreSQL that hangs is nobody's to kill; everything else would be started again.
    async fn leaves(self, topology: &PlainTopology, hangs: bool) {
        if (self, hangs) != (Self::Views, true) {
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
            (Self::Views, true) => topology.thaw_postgres(),
            (_, false) => topology.look_again(),
            (Self::Events, true) => {
                topology.signal("event-store", Signal::CONT);
                topology.look_again();
            }
        }
    }
}

/// Queries are answered, whichever store is away; commands are when it is not theirs; and nobody is taken for dead.
async fn goes_on(topology: &PlainTopology, away: Store, gateway: &Site, command_api: &Site) {
    let listed = gateway.get("/books?size=1").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let ready = command_api.get("/readyz").await;
    assert!(away == Store::Events || ready.status == 200, "{ready:?}");
    for service in SERVICES {
        assert_eq!(topology.site(service).get("/livez").await.status, 200, "{service}");
    }
}

/// A command that was sent now is booked, and seen in a view; and the command API that is looked at is ready, too, which may be
/// another than the one that booked it.
async fn is_whole(writers: &Writers, gateway: &Site, command_api: &Site) {
    writers.book(10).await;
    eventually("the command API is ready", async || command_api.try_get("/readyz").await?.wanted(200)).await;
    let path = format!("/books?size=1&minPosition={}&wait=1000", writers.latest());
    eventually("the views have come so far", async || gateway.try_get(&path).await?.wanted(200)).await;
}
