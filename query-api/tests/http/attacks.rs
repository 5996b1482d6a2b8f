//! What attackers try: everything they send is data, and stays that.

use crate::support::{Library, client};
use std::io::Read as _;

/// SQL, paths, markup, format strings, and what breaks lines.
const CORPUS: [&str; 16] = [
    "' OR '1'='1",
    "'; DROP TABLE rm_1.book_stock; --",
    "1; SELECT pg_sleep(10)",
    "1) UNION SELECT usename, passwd FROM pg_shadow --",
    "$1",
    "%' OR true --",
    "\\'; DELETE FROM rm_1.admin_list; --",
    "stock; COPY rm_1.book_stock TO PROGRAM 'id'",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}%n%s",
    "a\r\nset-cookie: stolen=1",
    "\u{0}",
    "\u{202e}\u{feff}\u{1f4da}",
    "{\"level\":\"ERROR\"}\n{\"forged\":true}",
];

/// All parameters but `q`, which takes any words.
const PARAMETERS: [(&str, &[&str]); 6] = [
    (
        "/admins",
        &[
            "sort",
            "cursor",
            "version",
            "changedSince",
            "minStock",
            "maxStock",
            "page",
            "size",
            "minPosition",
            "wait",
            "asOf",
        ],
    ),
    ("/books", &["sort", "cursor", "asOf", "wait"]),
    ("/books/1", &["asOf", "minPosition", "wait"]),
    ("/books/1/history", &["order", "size", "cursor", "asOf", "minPosition", "wait"]),
    ("/books/changes", &["since"]),
    ("/admins/changes", &["since"]),
];

/// Everything outside letters and digits as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

#[tokio::test]
async fn what_attackers_send_is_refused_or_looked_for_and_changes_nothing() {
    let library = Library::empty("attacks").await;
    library.put(42, &["1, '책', 1.0, 5"]).await;
    let held_by_none = crate::support::QueryApi::start_with(&library.database_url, 0).await;
    held_by_none.stands_at(42).await;
    for attack in CORPUS {
        let attack = escaped(attack);
        for api in [&library.query_api, &held_by_none] {
            let found = api.get(&format!("/books?q={attack}"), &[]).await;
            let nothing_or_refused = found.status == 400 || found.json()["page"]["totalElements"] == 0;
            assert!(nothing_or_refused, "{attack}: {}", found.text);
            for (path, parameters) in PARAMETERS {
                for parameter in parameters {
                    let refused = api.get(&format!("{path}?{parameter}={attack}"), &[]).await;
                    let outcome = (400, "invalid-parameter".to_owned());
                    assert_eq!(refused.outcome(), outcome, "{path}?{parameter}={attack}");
                    assert_eq!(refused.json()["parameter"], *parameter, "{path}?{parameter}={attack}");
                }
            }
            let refused = api.get(&format!("/books?{attack}=1"), &[]).await;
            assert_eq!(refused.outcome().0, 400, "{attack}");
            assert!(!refused.headers.contains_key("set-cookie"));
            for path in ["/books/", "/admins/", "/profile/", "/"] {
                let missing = api.get(&format!("{path}{attack}"), &[]).await;
                assert_eq!(missing.outcome().0, 404, "{path}{attack}");
            }
        }
    }
    for (path, list) in [("/books", "books"), ("/admins", "admins")] {
        let page = library.get(&format!("{path}?minPosition=42")).await.json();
        assert_eq!(page["_embedded"][list].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_log_line_cannot_be_forged() {
    use std::io::{BufRead as _, Seek as _};
    let library = Library::empty("attacks_log").await;
    // A file takes any number of lines while nobody reads.
    let mut log = tempfile::tempfile().unwrap();
    let mut child = crate::program::program()
        .env("DATABASE_URL", &library.database_url)
        .env("RUST_LOG", "debug")
        .stdout(std::process::Stdio::piped())
        .stderr(log.try_clone().unwrap())
        .spawn()
        .unwrap();
    // It is read to the end of the test: a program that cannot say where it listens stops.
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let base = crate::program::base(&lines.next().unwrap().unwrap());
    for attack in CORPUS {
        for place in ["/", "/books?q=", "/books/"] {
            let url = format!("{base}{place}{}", escaped(attack));
            client().get(url).header("x-request-id", "{\"forged\":true}").send().await.unwrap();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut text = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut text).unwrap();
    assert!(text.lines().count() > CORPUS.len(), "{text}");
    for line in text.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no entry: {line}"));
        assert!(entry["forged"].is_null() && entry["level"].is_string(), "{line}");
    }
}
