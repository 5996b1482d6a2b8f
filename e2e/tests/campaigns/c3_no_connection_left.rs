//! The query APIs behind the gateway have no connection left, and PostgreSQL dies, both under load: readers are told so, and no connection is lost.

use super::readers::Readers;
use super::writers::{BOOKS, Writers};
use e2e::{PlainTopology, connect, eventually};
use tokio_postgres::Client;

/// The connections of two query APIs, as many as each has if nothing is said (`POOL_SIZE`).
const CONNECTIONS: i64 = 2 * 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gets_no_connection_is_told_so_and_all_connections_are_there_afterwards() {
    for mut run in campaign::runs("C3", 1) {
        let topology = PlainTopology::start().await;
        let writers = Writers::begin(&topology, &mut run).await;
        let mut readers = Readers::begin(&topology.site("gateway"), BOOKS, &mut run.rng).await;
        no_connection_is_left(&topology, &writers, &mut readers).await;
        postgresql_dies(&topology, &writers, &mut readers).await;
        no_connection_is_left(&topology, &writers, &mut readers).await;
        drop(readers);
        writers.are_kept_their_word().await;
    }
}

/// Whoever reads a history has a connection for as long as a query may take, or waits for one.
async fn no_connection_is_left(topology: &PlainTopology, writers: &Writers, readers: &mut Readers) {
    let (lock, observer) = (owner(topology).await, owner(topology).await);
    lock.batch_execute("BEGIN; LOCK TABLE rm_1.book_history").await.unwrap();
    eventually("every connection is in use", async || all_wait(&observer).await).await;
    go_on(topology, writers, readers).await;
    drop(lock);
    readers.are_served(100).await;
}

async fn postgresql_dies(topology: &PlainTopology, writers: &Writers, readers: &mut Readers) {
    topology.look_away().await;
    topology.kill_postgres();
    go_on(topology, writers, readers).await;
    topology.look_again();
    readers.are_served(100).await;
}

/// Readers of histories are refused; what needs no connection goes on.
async fn go_on(topology: &PlainTopology, writers: &Writers, readers: &mut Readers) {
    readers.are_refused(200).await;
    topology.site("gateway").get("/books/1").await.json(200);
    writers.book(50).await;
}

async fn owner(topology: &PlainTopology) -> Client {
    connect(topology.part("postgresql")["address"].as_str().unwrap()).await.unwrap()
}

/// Were connections lost, fewer would wait, now or the next time. Only those of the pools count, not those that follow.
async fn all_wait(observer: &Client) -> Result<(), String> {
    let sql = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
               WHERE relation = 'rm_1.book_history'::regclass AND mode = 'AccessShareLock' AND NOT granted
                   AND application_name = 'bookstock reader'";
    let waiting: i64 = observer.query_one(sql, &[]).await.map_err(|error| error.to_string())?.get(0);
    if waiting >= CONNECTIONS { Ok(()) } else { Err(format!("{waiting} of {CONNECTIONS} wait")) }
}
