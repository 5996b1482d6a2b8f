//! What people write into paths, headers and bodies stays text: no file is read by it, no log line is forged, no header is
//! added, on the whole topology, by its gateway and past it.
#![cfg(test)]

use e2e::{PlainTopology, eventually};
use serde_json::{Value, json};
use std::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Ways out of the folder of the page.
const TRAVERSALS: [&str; 14] = [
    "/../../../../../../etc/passwd",
    "/web/../../../../../../etc/passwd",
    "/web/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/web/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/web/%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "/web/....//....//....//etc/passwd",
    "/web/..;/..;/etc/passwd",
    "/web/..\\..\\..\\etc\\passwd",
    "/web/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/web//etc/passwd",
    "//etc/passwd",
    "/web/main.js%00.png",
    "/docs/../../../../etc/passwd",
    "/books/..%2f..%2fetc%2fpasswd",
];

/// What somebody would like to read in a log, or to have in an answer's head.
const FORGED: &str = "forged-by-a-client";

/// The ways to get it there: request heads as they go over the wire.
fn forgeries() -> Vec<String> {
    let line = format!("{{\"level\":\"ERROR\",\"message\":\"{FORGED}\"}}");
    let escaped = line.replace('"', "%22").replace('{', "%7b").replace('}', "%7d");
    let escaped = format!("%0d%0a{escaped}");
    let mut heads = Vec::new();
    for path in
        [format!("/books/1{escaped}"), format!("/nowhere{escaped}"), format!("/books?search={escaped}")]
    {
        heads.push(format!("GET {path} HTTP/1.1\r\n"));
    }
    let cookie = format!("%0d%0aset-cookie:%20{FORGED}=1%0d%0a");
    heads.push(format!("GET /books/1{cookie} HTTP/1.1\r\n"));
    heads.push(format!("GET /libraries/1{cookie} HTTP/1.1\r\n"));
    for header in
        ["x-request-id", "idempotency-key", "user-agent", "traceparent", "accept-language", "if-match"]
    {
        // A lone line feed, a quote that would end a string, and what a terminal would obey.
        for value in [format!("a\n{line}"), format!("\"}}{line}"), format!("\u{1b}[2K{line}")] {
            heads.push(format!("GET /books/1 HTTP/1.1\r\n{header}: {value}\r\n"));
            heads.push(format!(
                "POST /books/1/renewals HTTP/1.1\r\ncontent-length: 0\r\n{header}: {value}\r\n"
            ));
        }
    }
    heads
}

/// What the service at `addr` answers to a request that no client would write.
async fn raw(addr: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{head}host: books\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let _ = tokio::time::timeout(e2e::PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

const DOORS: [&str; 3] = ["gateway", "command-api-1", "query-api-1"];

fn addr(topology: &PlainTopology, part: &str) -> String {
    topology.part(part)["address"].as_str().unwrap().trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn no_path_leads_to_a_file_and_no_text_becomes_a_log_line_or_a_header() {
    let topology = PlainTopology::start().await;
    let gateway = topology.site("gateway");
    gateway.warehouse(1, 5).await.json(201);
    for door in DOORS {
        let addr = addr(&topology, door);
        for path in TRAVERSALS {
            let answer = raw(&addr, &format!("GET {path} HTTP/1.1\r\n")).await;
            assert!(!answer.contains("root:"), "{door} {path}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 200"), "{door} {path}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{door} {path}: {answer}");
        }
        for head in forgeries() {
            let answer = raw(&addr, &head).await;
            let (headers, _) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            let added = headers.lines().any(|line| line.to_lowercase().starts_with("set-cookie"));
            assert!(!added, "{door} {head:?}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{door} {head:?}: {answer}");
        }
        // In a body, where it is allowed: a name is anybody's own words.
    }
    let name = format!("a\n{{\"level\":\"ERROR\",\"message\":\"{FORGED}\"}}");
    let body = json!({"qty": 1, "name": name, "reason": name});
    gateway.post("/books/2/warehousings", &body).await;
    gateway.post("/books/1/corrections", &json!({"qtyDelta": 1, "reason": name})).await;

    // Every line that a service or the gateway wrote is one of its own.
    let marker = gateway.get("/books/1").await.header("x-request-id").to_owned();
    eventually("the last request is in the gateway's log", async || {
        if topology.log("gateway").contains(&marker) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let logs = topology.place().path().join("topology/logs");
    for log in fs::read_dir(logs).unwrap() {
        let log = log.unwrap().path();
        let file = log.file_name().unwrap().to_str().unwrap().to_owned();
        let ours = ["command-api", "query-api", "projector", "event-store", "gateway"];
        if !ours.iter().any(|name| file.starts_with(name)) {
            continue;
        }
        for line in fs::read_to_string(&log).unwrap().lines() {
            if !line.contains(FORGED) {
                continue;
            }
            // HAProxy's own messages about servers have no braces; a request's line is one document.
            let told: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}"));
            assert_ne!(told["message"], FORGED, "{file}: {line}");
            assert!(!line.contains('\u{1b}'), "{file}: {line:?}");
        }
    }
}
