//! Secrets are planted wherever a service is given one, and looked for wherever it says something.
#![cfg(test)]

use e2e::{Place, Postgres, Process, Site, command, eventually, free_address};
use reqwest::Method;
use std::fs;
use std::sync::Arc;

/// What must never be seen again.
const SECRET: &str = "planted-3f9c1d";

/// Everything that was written to a log in `place`.
fn logs(place: &Place) -> String {
    let logs = fs::read_dir(place.path().join("logs")).unwrap();
    logs.map(|log| String::from_utf8_lossy(&fs::read(log.unwrap().path()).unwrap()).into_owned()).collect()
}

/// Starts `program` with `settings` in its environment, as talkative as it can be.
async fn start(
    place: &Place,
    program: &str,
    listeners: &[&str],
    settings: &[(&str, String)],
) -> (Process, Site) {
    let mut starting = command(program);
    starting.env("RUST_LOG", "debug").envs(settings.iter().map(|(name, value)| (name, value)));
    for flag in listeners {
        starting.args([flag, "127.0.0.1:0"]);
    }
    let mut process = Process::start(place, program, &mut starting);
    let addr = process.listening(listeners.len()).await[0];
    (process, Site::new(format!("http://{addr}")))
}

/// Sends what a client could send, secrets and all, and gathers all that is answered.
async fn all_answers(site: &Site) -> String {
    let token = format!("Bearer {SECRET}");
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let mut answers = String::new();
    for (method, path, body) in [
        (Method::GET, "/readyz".to_owned(), ""),
        (Method::GET, "/metrics".to_owned(), ""),
        (Method::GET, "/books/1".to_owned(), ""),
        (Method::GET, format!("/books?size=1&access_token={SECRET}"), ""),
        (Method::GET, "/admins".to_owned(), ""),
        (Method::GET, "/libraries/1".to_owned(), ""),
        (Method::POST, "/books/1/warehousings".to_owned(), r#"{"qty":5}"#),
        (Method::POST, "/books/1/warehousings".to_owned(), "{"),
        (Method::POST, "/books/1/renewals".to_owned(), "{}"),
    ] {
        let answer = site.send(method, &path, &headers, body).await;
        answers += &format!("{:?}\n{}\n", answer.headers, answer.text);
    }
    answers
}

#[tokio::test]
async fn no_log_metric_or_answer_tells_a_secret_whatever_fails() {
    let place = Arc::new(Place::new());
    let mut postgres = Postgres::start(&place).await;
    let database = postgres.url().replace("postgres@", &format!("postgres:{SECRET}@"));
    let gone = free_address();
    let store = format!("esdb://planted:{SECRET}@{gone}?tls=false");
    let of_store = ("EVENT_STORE_URL", store);
    let of_database = ("DATABASE_URL", database);
    let both = [of_store.clone(), of_database.clone()];
    let (_projector, projector) = start(&place, "projector", &["--listen"], &both).await;
    let (_commands, commands) = start(&place, "command-api", &["--listen"], &[of_store]).await;
    let query_listeners = ["--listen", "--admin-listen"];
    let (_queries, queries) = start(&place, "query-api", &query_listeners, &[of_database]).await;
    let mut answers = String::new();
    for site in [&projector, &commands, &queries] {
        answers += &all_answers(site).await;
    }
    // Each of them has failed to reach something by now, and says so.
    for site in [&projector, &commands] {
        eventually("it is not ready", async || site.try_get("/readyz").await?.wanted(503)).await;
    }
    postgres.kill().await;
    eventually("queries are refused, or answered from memory", async || {
        let answer = queries.try_get("/books?size=1").await?;
        let told = answer.status == 503 || answer.headers.contains_key("bookstock-stale");
        if told { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    for site in [&projector, &commands, &queries] {
        answers += &all_answers(site).await;
    }
    assert!(!answers.contains(SECRET), "{answers}");
    let logs = logs(&place);
    assert!(logs.len() > 1_000, "nothing was logged: {logs}");
    let told: Vec<&str> = logs.lines().filter(|line| line.contains(SECRET)).collect();
    assert_eq!(told, Vec::<&str>::new());
}

#[tokio::test]
async fn an_address_that_is_wrong_is_refused_without_its_password() {
    let place = Place::new();
    let database = format!("postgres://bookstock:{SECRET}@database:none/books");
    let store = format!("esdb://admin:{SECRET}@store:none?tls=perhaps");
    for (program, settings) in [
        ("query-api", [("DATABASE_URL", database.clone()), ("READ_DATABASE_URL", database.clone())]),
        (
            "command-api",
            [("EVENT_STORE_URL", store.clone()), ("COMMAND_API_LISTEN", "127.0.0.1:0".to_owned())],
        ),
        ("projector", [("EVENT_STORE_URL", store), ("DATABASE_URL", database)]),
    ] {
        let mut starting = command(program);
        starting.envs(settings).envs([("QUERY_API_LISTEN", "127.0.0.1:0"), ("ADMIN_LISTEN", "127.0.0.1:0")]);
        starting.env("PROJECTOR_LISTEN", "127.0.0.1:0");
        let ended = Process::start(&place, program, &mut starting).ended().await;
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        assert!(!ended.err.trim().is_empty(), "{program} does not say what is wrong");
    }
    let logs = logs(&place);
    assert!(!logs.contains(SECRET), "{logs}");
}
