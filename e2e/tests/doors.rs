//! Which addresses each program opens, to whom, and what it says of that.
#![cfg(test)]

use e2e::{Place, Process, Site, command, eventually};
use serde_json::Value;
use std::process::Command;

/// Anybody's, and this machine's alone.
const ANYWHERE: &str = "0.0.0.0:0";
const HERE: &str = "127.0.0.1:0";

/// Each program, with the flags that say where it listens.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("command-api", &["--listen", "--grpc-listen"]),
    ("query-api", &["--listen", "--admin-listen"]),
    ("projector", &["--listen"]),
    ("event-store-server", &["--listen"]),
];

/// What a program says that nobody is asked who they are.
fn open(program: &str) -> &'static str {
    if program == "event-store-server" { "no users are configured" } else { "no AUTH_ISSUER is configured" }
}

const INSECURE: &str = "listening without authentication where other machines can reach it (--insecure)";

/// A program that reaches neither database nor store, each of its listeners where `address` says.
fn program(name: &str, listeners: &[&str], address: impl Fn(usize) -> &'static str) -> Command {
    let mut program = command(name);
    for (number, flag) in listeners.iter().enumerate() {
        program.args([*flag, address(number)]);
    }
    if name == "event-store-server" {
        program.arg("--mem");
    }
    program.env("EVENT_STORE_URL", "esdb://127.0.0.1:1?tls=false");
    program.env("DATABASE_URL", "postgres://bookstock@127.0.0.1:1/bookstock");
    program
}

/// The warnings that it has logged.
fn warnings(process: &Process) -> Vec<Value> {
    let said = process.said_aside();
    // The last line may not be whole yet.
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["level"] == "WARN").collect()
}

/// Waits until it has warned of this so often.
async fn warns(process: &Process, of: &str, times: usize) {
    eventually(&format!("{times} warnings: {of}"), async || {
        let warnings = warnings(process);
        let of_it = |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains(of));
        let told = warnings.iter().filter(of_it).count();
        if told >= times { Ok(()) } else { Err(format!("{warnings:?}")) }
    })
    .await;
}

#[tokio::test]
async fn no_program_opens_to_everybody_an_address_that_others_can_reach() {
    let place = Place::new();
    for (name, listeners) in PROGRAMS {
        for (exposed, flag) in listeners.iter().enumerate() {
            let address = |number| if number == exposed { ANYWHERE } else { HERE };
            let mut refused = program(name, listeners, address);
            let ended = Process::start(&place, name, &mut refused).ended().await;
            assert_eq!(ended.code, Some(1), "{name} {flag}: {ended:?}");
            assert_eq!(ended.out, "", "{name} {flag} listened");
            let why = ended.err.lines().last().unwrap_or_default();
            for word in [name, ANYWHERE, "can be reached by other machines", "--insecure"] {
                assert!(why.contains(word), "{name} {flag} does not say {word}: {ended:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_program_that_is_open_says_so_and_more_loudly_where_others_can_reach_it() {
    let place = Place::new();
    for (name, listeners) in PROGRAMS {
        let mut process = Process::start(&place, name, &mut program(name, listeners, |_| HERE));
        process.listening(listeners.len()).await;
        warns(&process, open(name), 1).await;
        let loud = warnings(&process).into_iter().find(|line| line["message"] == INSECURE);
        assert_eq!(loud, None, "{name}");

        let mut everywhere = program(name, listeners, |_| ANYWHERE);
        let mut process = Process::start(&place, name, everywhere.arg("--insecure"));
        process.listening(listeners.len()).await;
        warns(&process, open(name), 1).await;
        warns(&process, INSECURE, listeners.len()).await;
    }
}

#[tokio::test]
async fn a_program_that_asks_for_tokens_may_be_reached_by_others_and_warns_of_nothing() {
    let place = Place::new();
    for (name, listeners) in PROGRAMS.into_iter().filter(|(name, _)| *name != "event-store-server") {
        let mut guarded = program(name, listeners, |_| ANYWHERE);
        let mut process = Process::start(&place, name, guarded.env("AUTH_ISSUER", "https://id.invalid"));
        let port = process.listening(listeners.len()).await[0].port();
        // It has said all by the time that it answers.
        Site::new(format!("http://127.0.0.1:{port}")).get("/livez").await.json(200);
        let told = warnings(&process);
        let open = |line: &&Value| {
            let text = line["message"].as_str().unwrap_or_default();
            text.contains(open(name)) || text == INSECURE
        };
        assert_eq!(told.iter().find(open), None, "{name}");
    }
}
