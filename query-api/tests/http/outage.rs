//! The database goes away and comes back.

use crate::cluster::{self, Cluster};
use crate::support::{Library, QueryApi, client, eventually};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Asks for everything at once, more often than there are connections; each must be told in time that it is no use.
async fn expect_unavailable(library: &Library, why: &str) {
    let (mut asking, client) = (JoinSet::new(), client());
    for path in ["/books/1", "/books", "/admins/1", "/admins", "/admins?minPosition=99&wait=10000"].repeat(4)
    {
        let request = client.get(format!("{}{path}", library.query_api.base));
        asking.spawn(async move {
            let started = Instant::now();
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "1");
            let problem = response.text().await.unwrap();
            assert!(problem.contains("urn:bookstock:problem:read-model-unavailable"), "{problem}");
            (path, started.elapsed())
        });
    }
    for (path, took) in asking.join_all().await {
        assert!(took < Duration::from_secs(2), "{why}: {path} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_within_two_seconds_and_ends_with_the_outage() {
    let cluster = Cluster::start();
    let library = Library::in_database(cluster.database("outage").await).await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let query_api = &library.query_api;
    eventually(query_api, "/readyz", 200).await;
    for (ends, begins) in [("freeze", "thaw"), ("stop", "start"), ("kill", "start")] {
        cluster.command(ends);
        expect_unavailable(&library, ends).await;
        eventually(query_api, "/readyz", 503).await;
        assert_eq!(library.get("/livez").await.status, 200);
        cluster.command(begins);
        let answer = eventually(query_api, "/books/1?minPosition=42", 200).await;
        assert_eq!(answer.json()["stock"], 5, "after {begins}");
        eventually(query_api, "/readyz", 200).await;
    }
}

#[tokio::test]
async fn a_service_that_starts_without_its_database_works_once_that_is_there() {
    let cluster = Cluster::start();
    let library = Library::in_database(cluster.database("late").await).await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    cluster.command("stop");
    let early = QueryApi::start(&library.database_url).await;
    assert_eq!(early.get("/books/1", &[]).await.outcome(), (503, "read-model-unavailable".to_owned()));
    assert_eq!(early.get("/readyz", &[]).await.status, 503);
    cluster.command("start");
    eventually(&early, "/books/1?minPosition=42", 200).await;
    eventually(&early, "/readyz", 200).await;
}

#[tokio::test]
async fn a_database_without_read_models_is_an_outage_until_the_projector_makes_them() {
    let database_url = cluster::database("not_set_up").await;
    let early = QueryApi::start(&database_url).await;
    assert_eq!(early.get("/admins", &[]).await.outcome(), (503, "read-model-unavailable".to_owned()));
    let _library = Library::in_database(database_url).await;
    eventually(&early, "/admins", 200).await;
}
