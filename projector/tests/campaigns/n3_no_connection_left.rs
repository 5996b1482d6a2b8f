//! PostgreSQL has no connection left, and restarts under load: the projector waits, leaks none, and goes on.

use crate::cluster::Cluster;
use crate::given::until;
use crate::library::{Library, connect, end};
use tokio_postgres::{Client, NoTls};

/// Takes every connection that PostgreSQL gives.
async fn exhaust(database: &str, taken: &mut Vec<Client>) {
    while let Ok((client, wire)) = tokio_postgres::connect(database, NoTls).await {
        tokio::spawn(wire);
        taken.push(client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_waits_for_a_connection_and_leaks_none_over_restarts() {
    let cluster = Cluster::start();
    for mut run in campaign::runs("N3", 1) {
        let mut library = Library::start(cluster.database(&format!("n3_{}", run.seed)).await).await;
        let mut projector = library.projector("n3");
        library.caught_up().await;
        for _ in 0..3 {
            // All that there are, are taken; who was in, is thrown out, and finds no place.
            let mut taken = Vec::new();
            loop {
                exhaust(&library.database, &mut taken).await;
                let projectors = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                  WHERE application_name LIKE 'bookstock projector%'";
                if library.count(projectors).await == 0 {
                    break;
                }
            }
            assert!(taken.len() > 50, "{} connections were all", taken.len());
            library.write(&mut run).await;
            drop(taken);
            library.caught_up().await;
            library.write(&mut run).await;
            cluster.command("stop");
            cluster.command("start");
            library.write(&mut run).await;
            library.connect_again().await;
            library.caught_up().await;
        }
        library.verify().await;
        // Its own, the one that looks through the generations, and nothing that was left behind.
        let client = connect(&library.database).await;
        until("no connection is left behind", async || {
            let sql =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bookstock projector%'";
            client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 2
        })
        .await;
        end(&mut projector);
    }
}
