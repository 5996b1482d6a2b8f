//! The database goes away and comes back.

use crate::cluster::{self, Cluster};
use crate::support::{Library, QueryApi, client, eventually};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Asks for everything at once, more often than there are connections; each is answered in time, with this status and of this
/// position.
async fn expect(library: &QueryApi, paths: &[&str], (status, position): (u16, u64), why: &str) {
    let (mut asking, client) = (JoinSet::new(), client());
    for path in paths.repeat(4) {
        let request = client.get(format!("{}{path}", library.base));
        let path = path.to_owned();
        asking.spawn(async move {
            let started = Instant::now();
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let headers = response.headers();
            assert_eq!(
                (&headers["bookstock-stale"], &headers["bookstock-position"]),
                (&"true".parse().unwrap(), &position.into())
            );
            assert!(headers["bookstock-age-ms"].to_str().unwrap().parse::<u64>().is_ok());
            if status == 503 {
                assert_eq!(response.headers()["retry-after"], "1");
                let problem = response.text().await.unwrap();
                assert!(problem.contains("urn:bookstock:problem:read-model-unavailable"), "{problem}");
            } else if status == 200 {
                assert!(headers.contains_key("etag"));
            }
            (path, started.elapsed())
        });
    }
    for (path, took) in asking.join_all().await {
        assert!(took < Duration::from_secs(5), "{why}: {path} took {took:?}");
    }
}

/// What needs nothing that is not in memory.
const IN_MEMORY: [&str; 8] = [
    "/books/1",
    "/books",
    "/admins/1",
    "/admins?minPosition=42&wait=10000",
    "/books?q=%EC%B1%85&minStock=1",
    "/books?sort=stock,desc&sort=name",
    "/books?cursor=&size=1",
    "/admins?version=1.0&changedSince=7",
];

async fn eventually_stale(query_api: &QueryApi) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while query_api.get("/status", &[]).await.json()["stale"] != true {
        assert!(Instant::now() < deadline, "the outage is not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_answers_come_from_memory_and_say_so() {
    let cluster = Cluster::start();
    let library = Library::in_database(cluster.database("outage").await).await;
    library.put(42, &["1, '책', 1.0, 5"]).await;
    let query_api = &library.query_api;
    eventually(query_api, "/readyz", 200).await;
    for (ends, begins) in [("freeze", "thaw"), ("stop", "start"), ("kill", "start")] {
        cluster.command(ends);
        eventually_stale(query_api).await;
        expect(query_api, &IN_MEMORY, (200, 42), ends).await;
        expect(query_api, &["/books/2", "/admins/2"], (404, 42), ends).await;
        // What is not there cannot be waited for.
        expect(query_api, &["/admins?minPosition=99&wait=10000"], (503, 42), ends).await;
        eventually(query_api, "/readyz", 503).await;
        assert_eq!(library.get("/livez").await.status, 200);
        let stale = library.get("/books/1").await;
        cluster.command(begins);
        let answer = eventually(query_api, "/books/1?minPosition=42", 200).await;
        assert_eq!(answer.json()["stock"], 5, "after {begins}");
        assert_eq!(answer.header("etag"), stale.header("etag"));
        eventually(query_api, "/readyz", 200).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while library.get("/books").await.headers.contains_key("bookstock-stale") {
            assert!(Instant::now() < deadline, "still stale after {begins}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_memory_is_refused_in_time_and_what_was_asked_before_is_not() {
    let cluster = Cluster::start();
    let library = Library::in_database(cluster.database("outage_many").await).await;
    library.put(42, &["1, '책', 1.0, 5", "2, NULL, 1.0, 6"]).await;
    let none = QueryApi::start_with(&library.database_url, 0).await;
    none.stands_at(42).await;
    let known = ["/books/1", "/books", "/admins?minStock=6", "/admins/2"];
    for path in known {
        assert_eq!(none.get(path, &[]).await.status, 200);
    }
    // They may have changed since, for all that is held in memory.
    library.put(43, &["3, NULL, 1.0, 7"]).await;
    none.stands_at(43).await;
    for (ends, begins) in [("freeze", "thaw"), ("stop", "start")] {
        cluster.command(ends);
        eventually_stale(&none).await;
        expect(&none, &known, (200, 42), ends).await;
        expect(&none, &["/books/2", "/books?sort=name", "/books?q=%EC%B1%85"], (503, 43), ends).await;
        cluster.command(begins);
        eventually(&none, "/admins?sort=bookName&minPosition=43", 200).await;
        none.stands_at(43).await;
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
