//! What the campaigns have in common: a store and a database, projectors as processes, points at which PostgreSQL holds
//! them, and the proof that nothing went wrong.

use crate::given::{PATIENCE, reader, renew, until, warehouse};
use crate::store::Store;
use campaign::Run;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// The points of a write at which a projector can be held, in their order: what is written there, and when the trigger
/// fires. The last one fires within the commit, which PostgreSQL ends whether anybody waits for its answer or not.
pub(crate) const POINTS: [(&str, &str); 6] = [
    (
        "bookstock.projection",
        "TRIGGER hold BEFORE UPDATE ON bookstock.projection FOR EACH ROW
         WHEN (OLD.position IS DISTINCT FROM NEW.position)",
    ),
    ("rm_1.book_stock", "TRIGGER hold BEFORE INSERT OR UPDATE ON rm_1.book_stock FOR EACH STATEMENT"),
    ("rm_1.admin_list", "TRIGGER hold BEFORE INSERT OR UPDATE ON rm_1.admin_list FOR EACH STATEMENT"),
    ("rm_1.book_history", "TRIGGER hold BEFORE INSERT OR UPDATE ON rm_1.book_history FOR EACH STATEMENT"),
    ("rm_1.streams", "TRIGGER hold BEFORE INSERT OR UPDATE ON rm_1.streams FOR EACH STATEMENT"),
    (
        "rm_1.streams",
        "CONSTRAINT TRIGGER hold_commit AFTER INSERT OR UPDATE ON rm_1.streams DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW",
    ),
];

/// The point within the commit.
pub(crate) const COMMIT: usize = POINTS.len() - 1;

/// A library whose read models are made by processes.
pub(crate) struct Library {
    pub(crate) store: Store,
    pub(crate) database: String,
    sql: Client,
    /// The position of the last event.
    pub(crate) last: u64,
    /// How many events there are.
    pub(crate) events: u64,
    /// Over which address the projectors hear of the store.
    pub(crate) heard_over: String,
}

impl Library {
    /// A new one, with its tables and the points in them.
    pub(crate) async fn start(database: String) -> Self {
        let store = Store::start();
        let sql = connect(&database).await;
        let heard_over = store.url();
        let mut library = Self { store, database, sql, last: 0, events: 1, heard_over };
        library.last = warehouse(&library.store, 1, &[5]).await;
        let mut projector = library.projector("maker");
        library.caught_up().await;
        end(&mut projector);
        library.make_points().await;
        library
    }

    async fn make_points(&self) {
        let hold =
            "CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$ BEGIN
            PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint); RETURN NEW; END $$";
        self.sql.batch_execute(hold).await.unwrap();
        for (point, (_, trigger)) in POINTS.iter().enumerate() {
            let sql = format!("CREATE {trigger} EXECUTE FUNCTION public.hold({point})");
            self.sql.batch_execute(&sql).await.unwrap();
        }
    }

    /// Starts a projector that holds its lease under this name.
    pub(crate) fn projector(&self, owner: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
        for variable in ["EVENT_STORE_URL", "DATABASE_URL", "AUTH_ISSUER", "BATCH_EVENTS", "LEASE_OWNER"] {
            command.env_remove(variable);
        }
        command
            .args(["--listen", "127.0.0.1:0", "--lease-owner", owner, "--batch-events", "500"])
            .args(["--event-store-url", &self.heard_over, "--database-url", &self.database])
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Appends some events to some books.
    pub(crate) async fn write(&mut self, run: &mut Run) {
        for _ in 0..run.rng.u64(1..=10) {
            let book = run.rng.u64(1..=5);
            let quantities: Vec<u64> = (0..run.rng.u64(1..=30)).map(|_| run.rng.u64(1..=9)).collect();
            self.last = warehouse(&self.store, book, &quantities).await;
            self.events += quantities.len() as u64;
            if run.rng.u8(..) < 32 {
                self.last = renew(&self.store, book).await;
                self.events += 1;
            }
        }
    }

    /// From now on a projector that comes to `point` waits there.
    pub(crate) async fn hold(&self, point: usize) {
        self.sql.batch_execute(&format!("SELECT pg_advisory_lock({point})")).await.unwrap();
    }

    /// Somebody waits at `point`.
    pub(crate) async fn somebody_waits(&self, point: usize) {
        let sql = format!(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {point} AND NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        until(&format!("somebody waits at {:?}", POINTS[point]), async || {
            self.sql.query_opt(&sql, &[]).await.unwrap().is_some()
        })
        .await;
    }

    /// Whoever waits at `point` goes on.
    pub(crate) async fn release(&self, point: usize) {
        self.sql.batch_execute(&format!("SELECT pg_advisory_unlock({point})")).await.unwrap();
    }

    /// Where the read models stand.
    pub(crate) async fn position(&self) -> u64 {
        let sql = "SELECT position FROM bookstock.projection WHERE generation = 1";
        u64::try_from(self.sql.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)).unwrap()
    }

    /// Who holds the lease, or held it last.
    pub(crate) async fn owner(&self) -> String {
        let sql = "SELECT coalesce(owner, '') FROM bookstock.projection WHERE generation = 1";
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// No projector is connected any more: whatever PostgreSQL still did for one is done.
    pub(crate) async fn nobody_is_connected(&self) {
        let sql = "SELECT FROM pg_stat_activity
                   WHERE application_name LIKE 'bookstock projector%' AND datname = current_database()";
        until("nobody is connected", async || self.sql.query(sql, &[]).await.unwrap().is_empty()).await;
    }

    /// The read models have all events.
    pub(crate) async fn caught_up(&self) {
        reader(&self.database).wait_for(self.last, PATIENCE).await.unwrap();
    }

    /// Every event is in the read models, and no stream waits.
    pub(crate) async fn nothing_is_on_its_way(&self) {
        let sql = "SELECT coalesce(sum(revision + 1), 0)::int8, (SELECT count(*) FROM bookstock.parked)
                   FROM rm_1.streams";
        until("every event is in", async || {
            let row = self.sql.query_one(sql, &[]).await.unwrap();
            (row.get::<_, i64>(0).unsigned_abs(), row.get::<_, i64>(1)) == (self.events, 0)
        })
        .await;
    }

    /// Once more after an outage.
    pub(crate) async fn connect_again(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        self.sql = loop {
            match tokio_postgres::connect(&self.database, NoTls).await {
                Ok((client, wire)) => {
                    tokio::spawn(wire);
                    break client;
                }
                Err(error) => assert!(Instant::now() < deadline, "PostgreSQL stays away: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
    }

    /// How many rows a query has.
    pub(crate) async fn count(&self, sql: &str) -> usize {
        self.sql.query(sql, &[]).await.unwrap().len()
    }

    /// `replay verify` finds nothing, and no stream waits.
    pub(crate) async fn verify(&self) {
        let mut program = std::env::current_exe().unwrap();
        while program.pop() && !program.join("replay").is_file() {}
        let mut replay = Command::new(program.join("replay"));
        replay.args(["verify", "--json", "--event-store-url", &self.store.url()]);
        replay.args(["--database-url", &self.database]);
        let verified = tokio::task::spawn_blocking(move || replay.output());
        let verified = verified.await.unwrap().expect("replay is built: run `cargo build --workspace`");
        let said = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success(), "{said} {}", String::from_utf8_lossy(&verified.stderr));
        let waits = "SELECT count(*) FROM bookstock.parked";
        assert_eq!(self.sql.query_one(waits, &[]).await.unwrap().get::<_, i64>(0), 0, "a stream waits");
    }
}

/// A connection that ends with the test.
pub(crate) async fn connect(database: &str) -> Client {
    let (client, wire) = tokio_postgres::connect(database, NoTls).await.unwrap();
    tokio::spawn(wire);
    client
}

/// Ends a projector as a power cut would.
pub(crate) fn end(projector: &mut Child) {
    projector.kill().unwrap();
    projector.wait().unwrap();
}
