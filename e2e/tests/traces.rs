//! Traces: what one request caused in all the processes behind the gateway, and that nobody waits for the collector.
#![cfg(test)]

use e2e::{Collector, PlainTopology, Seen, eventually};
use reqwest::Method;
use rustix::process::Signal;
use std::net::TcpListener;

/// What tells a collector's address, and that spans are sent soon.
fn settings(endpoint: String) -> [(&'static str, String); 3] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ]
}

/// The one of these spans that is called so.
#[track_caller]
fn named<'a>(spans: &'a [Seen], name: &str) -> Result<&'a Seen, String> {
    spans.iter().find(|span| span.name == name).ok_or_else(|| format!("no {name:?} in {spans:#?}"))
}

const COMMAND: &str = "POST /books/{bookId}/warehousings";

#[tokio::test]
async fn one_trace_leads_from_the_gateway_over_command_and_event_to_the_projection_and_its_notification() {
    let collector = Collector::start().await;
    let topology = PlainTopology::start_with(&settings(collector.endpoint())).await;
    let gateway = topology.site("gateway");

    // The trace of a client goes on.
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace}-{parent}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &traceparent)];
    let booked =
        gateway.send(Method::POST, "/books/7/warehousings", &headers, r#"{"qty":5}"#).await.json(201);
    let look = format!("/books/7?minPosition={}&wait=5000", booked["position"].as_str().unwrap());
    gateway.send(Method::GET, &look, &headers, "").await.json(200);
    eventually("the whole trace has come", async || {
        let spans: Vec<_> = collector.seen().into_iter().filter(|seen| seen.trace == trace).collect();
        let of = |name, service| named(&spans, name).map(|span| (span.service == service, span));
        let (by_command_api, command) = of(COMMAND, "command-api")?;
        let (by_command_api_too, append) = of("append book-7", "command-api")?;
        let (by_projector, project) = of("project book-7", "projector")?;
        let (by_projector_too, notify) = of("NOTIFY bookstock_position", "projector")?;
        let (by_query_api, query) = of("GET /books/{bookId}", "query-api")?;
        assert!(by_command_api && by_command_api_too && by_projector && by_projector_too && by_query_api);
        assert_eq!((&*command.parent, &*query.parent), (parent, parent));
        assert_eq!(
            (&append.parent, &project.parent, &notify.parent),
            (&command.id, &command.id, &project.id)
        );
        assert!(spans.iter().all(|span| !span.failed), "{spans:#?}");
        Ok(())
    })
    .await;

    // Who brings none gets one from the gateway, which tells it in its log.
    gateway.warehouse(8, 5).await.json(201);
    eventually("the trace that the gateway began has come", async || {
        let spans = collector.seen();
        let (append, project) = (named(&spans, "append book-8")?, named(&spans, "project book-8")?);
        assert_eq!(append.trace, project.trace);
        let log = topology.log("gateway");
        if log.contains(&format!("\"trace_id\":\"{}\"", append.trace)) { Ok(()) } else { Err(log) }
    })
    .await;

    // Nobody looks for the traces of those who watch.
    let watching = ["/livez", "/readyz", "/metrics"];
    let seen = collector.seen();
    assert!(seen.iter().all(|span| watching.iter().all(|path| !span.name.ends_with(path))), "{seen:#?}");
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_up_nobody() {
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let topology = PlainTopology::start_with(&settings(endpoint)).await;
    let gateway = topology.site("gateway");
    let told = "traces do not reach the collector";
    eventually("it is told once that traces are lost", async || {
        gateway.warehouse(1, 1).await.json(201);
        let logs = ["command-api-1", "command-api-2"].map(|name| topology.log(name));
        if logs.iter().any(|log| log.contains(told)) { Ok(()) } else { Err(logs.concat()) }
    })
    .await;
    for _ in 0..20 {
        gateway.warehouse(1, 1).await.json(201);
    }
    for name in ["command-api-1", "command-api-2"] {
        assert!(topology.log(name).matches(told).count() <= 1, "{}", topology.log(name));
    }
    // Nor does a process wait for it at its end.
    let pid = topology.part("command-api-1")["pid"].clone();
    topology.signal("command-api-1", Signal::TERM);
    topology.another("command-api-1", &pid).await;
    eventually("commands go on", async || gateway.warehouse(1, 1).await.wanted(201)).await;
    drop(silent);
}

#[tokio::test]
async fn what_cannot_be_a_collector_is_told_at_the_start() {
    for (name, value, hint) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address", "such as http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "usually 4318"),
    ] {
        let mut command = e2e::command("command-api");
        command.args(["--listen", "127.0.0.1:0"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let output = command.env(name, value).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}
