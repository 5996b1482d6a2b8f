//! The program `query-api` itself.

use crate::support::{Library, client};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_query-api"));
    command.env_remove("DATABASE_URL").env_remove("READ_DATABASE_URL").envs([
        ("QUERY_API_LISTEN", "127.0.0.1:0"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
        ("LOG_FORMAT", "json"),
    ]);
    command
}

#[tokio::test]
async fn it_answers_on_both_addresses_and_stops_when_asked() {
    let library = Library::empty("program").await;
    library.put(42, &["1, NULL, 2.0, 100"]).await;
    let mut child =
        program().env("DATABASE_URL", &library.database_url).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for path in ["/books/1", "/admins"] {
        let base = base(&lines.next().unwrap().unwrap());
        for path in [path, "/readyz"] {
            let response = client().get(format!("{base}{path}")).send().await.unwrap();
            assert_eq!(response.status(), 200, "{base}{path}");
        }
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(lines.next().is_none(), "more than the two lines");
}

/// Where it listens, from the line that says so: as JSON, like all that it logs.
pub(crate) fn base(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["message"].as_str().unwrap().strip_prefix("query-api listening on ").unwrap().to_owned()
}

fn fails_with(code: i32, command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!((status.code(), stdout.as_slice()), (Some(code), &b""[..]));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_wrong_address_of_the_database_is_one_line_without_the_password() {
    let said =
        fails_with(1, program().args(["--database-url", "mysql://bookstock:changeit@localhost/books"]));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("DATABASE_URL") && !said.contains("changeit"), "{said}");
}

#[test]
fn a_missing_address_of_the_database_is_wrong_use() {
    assert!(fails_with(2, &mut program()).contains("--database-url"));
}

#[test]
fn a_taken_port_is_one_line_that_names_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let said =
        fails_with(1, program().args(["--database-url", "postgres://localhost/x", "--admin-listen", &addr]));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("ADMIN_LISTEN"), "{said}");
}
