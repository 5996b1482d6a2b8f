//! The gateway that is shipped, in front of the real services: one address, whatever happens behind it.
#![cfg(test)]

mod bare;
mod behind_a_proxy;
mod broken_services;
mod names;

use e2e::{Gateway, Service, Site, Topology, eventually, free_address, the_examples};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

/// Both halves of the system twice, behind the gateway.
struct Behind {
    gateway: Gateway,
    second_query_api: Service,
    topology: Topology,
}

impl Behind {
    async fn start(extra: &[(&str, String)]) -> Self {
        let topology = Topology::start().await;
        let database = ["--database-url", &topology.postgres.url()];
        let listeners = ["--listen", "--admin-listen"];
        let of_queries = [&database[..], &["--page"]].concat();
        let second =
            Service::start(&topology.place, "query-api-2", "query-api", &listeners, &of_queries).await;
        second.ready().await;
        let command_apis = [topology.command_apis[0].addr(), topology.command_apis[1].addr()];
        let query_apis = [topology.query_api.addr(), second.addr()];
        let gateway = Gateway::start(&topology.place, command_apis, query_apis, extra).await;
        Self { gateway, second_query_api: second, topology }
    }
}

/// Warehouses, looks at the book with the position of that, and all of it through one address.
async fn a_round_trip(site: &Site, book: u64) {
    let booked = site.warehouse(book, 7).await.json(201);
    let position = booked["position"].as_str().unwrap();
    let shown = site.get(&format!("/books/{book}?minPosition={position}&wait=5000")).await.json(200);
    assert_eq!(shown["stock"], booked["stock"]);
}

#[tokio::test]
async fn the_originals_examples_answer_field_for_field_behind_the_real_gateway() {
    let behind = Behind::start(&[]).await;
    let site = behind.gateway.site();
    the_examples(&site, &site, &site).await;

    // What a client says of where it came in is not believed, and links are the gateway's all the same.
    let forged =
        [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil")];
    let shown = site.send(Method::GET, "/books/1", &forged, "").await.json(200);
    assert_eq!(shown["_links"]["self"]["href"], site.url("/books/1"));

    // What is for operators stays inside, and a wrong path is told as everywhere.
    site.get("/metrics").await.problem(404, "no-such-route");
    site.get("/nowhere").await.problem(404, "no-such-route");
    site.post("/nowhere", &json!({})).await.problem(404, "no-such-route");
    site.send(Method::DELETE, "/books/1", &[], "").await.problem(405, "method-not-allowed");
    let json = [("content-type", "application/json")];
    let large = format!(r#"{{"qty":{}1}}"#, " ".repeat(100_000));
    site.send(Method::POST, "/books/1/warehousings", &json, large).await.problem(413, "body-too-large");
    assert_eq!(site.get("/livez").await.json(200)["status"], "alive");
    the_document_tells_all_that_is_there(&site, &behind.topology.command_apis[0].site()).await;
}

/// One address has one document: that of the commands is in it as it is, and each operation of it is there.
async fn the_document_tells_all_that_is_there(site: &Site, command_api: &Site) {
    let told = site.get("/openapi.json").await.json(200);
    let of_commands = command_api.get("/openapi.json").await.json(200);
    for (path, item) in
        of_commands["paths"].as_object().unwrap().iter().filter(|(path, _)| *path != "/metrics")
    {
        for (method, operation) in item.as_object().unwrap() {
            assert_eq!(&told["paths"][path][method], operation, "{method} {path}");
        }
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, item) in told["paths"].as_object().unwrap() {
        let url = site.url(&path.replace("{bookId}", "1"));
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            // The status alone: what follows changes has no end to be read to. Most commands are nothing without a body.
            let status = client.request(method.clone(), &url).send().await.unwrap().status();
            let there =
                status.is_success() || method == Method::POST && [400, 415].contains(&status.as_u16());
            assert!(there, "{method} {path} is in the document and answers {status}");
        }
    }
}

#[tokio::test]
async fn every_request_has_an_id_that_the_log_knows() {
    let behind = Behind::start(&[]).await;
    let site = behind.gateway.site();
    let made = site.get("/books?secret=hush").await.header("x-request-id").to_owned();
    assert_eq!(made.len(), 36, "{made}");
    let kept = site.send(Method::GET, "/nowhere", &[("x-request-id", "mine-1")], "").await;
    assert_eq!(kept.header("x-request-id"), "mine-1");
    let silly = [("x-request-id", "\"} {\"status\":200")];
    let replaced = site.send(Method::GET, "/books", &silly, "").await;
    assert_eq!(replaced.header("x-request-id").len(), 36);
    eventually("the log tells of both", async || {
        let log = behind.gateway.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of = |id: &str| lines.iter().find(|line| line["request_id"] == id).cloned().ok_or(log.clone());
        assert_eq!(of(&made)?["path"], "/books");
        assert_eq!(of("mine-1")?["status"], 404);
        assert!(!log.contains("hush"), "{log}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn when_one_of_each_is_killed_no_request_fails_and_when_it_is_back_it_works_again() {
    let mut behind = Behind::start(&[]).await;
    let site = behind.gateway.site();
    a_round_trip(&site, 1).await;
    behind.topology.command_apis[0].kill();
    behind.second_query_api.kill();
    // From the first moment on, and for books of either of the two.
    for book in 1..=40 {
        a_round_trip(&site, book).await;
    }
    behind.topology.command_apis[0].start_again().await;
    behind.second_query_api.start_again().await;
    behind.topology.command_apis[1].kill();
    behind.topology.query_api.kill();
    behind.gateway.ready().await;
    for book in 1..=40 {
        a_round_trip(&site, book).await;
    }
}

#[tokio::test]
async fn a_frozen_service_is_cut_off() {
    let behind = Behind::start(&[]).await;
    let site = behind.gateway.site();
    a_round_trip(&site, 1).await;
    behind.topology.command_apis[0].freeze().await;
    behind.topology.query_api.freeze().await;
    eventually("the gateway has cut both off", async || {
        let said = behind.gateway.log();
        let cut = ["Server commands/command-api-1 is DOWN", "Server queries/query-api-1 is DOWN"];
        if cut.iter().all(|line| said.contains(line)) { Ok(()) } else { Err(said) }
    })
    .await;
    for book in 1..=20 {
        a_round_trip(&site, book).await;
    }
    behind.topology.command_apis[0].thaw();
    behind.topology.query_api.thaw();
}

#[tokio::test]
async fn while_no_service_is_ready_those_that_live_tell_why() {
    let mut behind = Behind::start(&[]).await;
    let site = behind.gateway.site();
    a_round_trip(&site, 1).await;
    behind.topology.event_store.kill();
    let told =
        eventually("the gateway is not ready", async || site.try_get("/readyz").await?.wanted(503)).await;
    assert_eq!(told["checks"]["command-api"]["ready"], false, "{told}");
    assert_eq!(told["checks"]["query-api"]["ready"], true, "{told}");
    site.warehouse(1, 5).await.problem(503, "event-store-unavailable");
    assert_eq!(site.get("/books/1").await.json(200)["stock"], 7);

    for service in &mut behind.topology.command_apis {
        service.kill();
    }
    let refused = eventually("nobody is there", async || {
        let answer = site.warehouse(1, 5).await;
        if answer.text.contains("no-service-available") { Ok(answer) } else { Err(answer.text) }
    })
    .await;
    assert_eq!(refused.problem(503, "no-service-available")["title"], "No service is available");
    assert_eq!((refused.header("retry-after"), refused.header("content-language")), ("1", "en"));
    assert!(!refused.header("x-request-id").is_empty());

    // What the gateway says itself it says in Korean, too.
    let korean = [("accept-language", "ko-KR,ko;q=0.9,en;q=0.5"), ("content-type", "application/json")];
    let refused = site.send(Method::POST, "/books/1/warehousings", &korean, r#"{"qty":1}"#).await;
    assert_eq!(refused.problem(503, "no-service-available")["title"], "쓸 수 있는 서비스가 없습니다");
    assert_eq!((refused.header("content-language"), refused.header("vary")), ("ko", "Accept-Language"));
    let nowhere = site.send(Method::GET, "/metrics", &korean, "").await;
    assert_eq!(nowhere.problem(404, "no-such-route")["title"], "여기에는 아무것도 없습니다");
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_links_say_so() {
    let place = std::sync::Arc::new(e2e::Place::new());
    let certificate = self_signed(&place);
    let metrics = free_address();
    let settings =
        [("GATEWAY_CERTIFICATE", certificate.clone()), ("GATEWAY_METRICS_LISTEN", metrics.to_string())];
    let behind = Behind::start(&settings).await;
    // Whoever watches the gateway itself does not speak TLS.
    let own = Site::new(format!("http://{metrics}"));
    assert_eq!(own.get("/livez").await.json(200)["status"], "alive");
    it_makes_room_for_what_its_memory_bears(&own).await;
    let port = behind.gateway.listen().port();
    let url = format!("https://localhost:{port}/books/1/warehousings");
    let body = ["-d", r#"{"qty":5}"#, "-H", "content-type: application/json"];
    curl(&certificate, &[&["-fsS", &url][..], &body].concat());
    let shown = eventually("the book is shown", async || {
        let shown = curl(&certificate, &["-sS", "-i", &format!("https://localhost:{port}/books/1")]);
        if shown.contains(" 200") { Ok(shown) } else { Err(shown) }
    })
    .await;
    assert!(shown.starts_with("HTTP/2 200"), "{shown}");
    assert!(shown.contains("strict-transport-security: max-age=31536000"), "{shown}");
    assert!(shown.contains(&format!(r#""href":"https://localhost:{port}/books/1""#)), "{shown}");

    // A list gets there, too, if the certificate is trusted.
    let list = place.path().join("list.csv");
    std::fs::write(&list, "bookId,qty\n2,5\n").unwrap();
    let receive = async |name: &str, trusted: Option<&str>| {
        let mut receive = e2e::command("bookstock");
        receive.arg("receive").arg(&list).args([
            "--patience",
            "0",
            "--url",
            &format!("https://localhost:{port}"),
        ]);
        receive.envs(trusted.map(|trusted| ("SSL_CERT_FILE", trusted)));
        e2e::Process::start(&place, name, &mut receive).ended().await
    };
    let refused = receive("receive-from-a-stranger", None).await;
    assert!(refused.code == Some(1) && refused.err.contains("certificate"), "{refused:?}");
    let taken = receive("receive", Some(&certificate)).await;
    assert_eq!((taken.code, taken.count("booked")), (Some(0), 1), "{taken:?}");
}

/// However many files its process may open: in a container these may be a million and more.
async fn it_makes_room_for_what_its_memory_bears(own: &Site) {
    let metrics = own.get("/metrics").await.text;
    for (metric, most) in [("haproxy_process_max_fds ", 16_384), ("haproxy_process_max_connections ", 8_192)]
    {
        let told = metrics.lines().find_map(|line| line.strip_prefix(metric)).unwrap();
        let count: u64 = told.trim().parse().unwrap();
        assert!((1..=most).contains(&count), "{metric}{count}");
    }
}

/// A certificate for localhost and its key, in one file.
fn self_signed(place: &e2e::Place) -> String {
    let file = |name: &str| place.path().join(name).display().to_string();
    let (key, certificate, both) = (file("key.pem"), file("certificate.pem"), file("both.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    // It is the server's own, and no authority.
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let made = openssl.args(["-keyout", &key, "-out", &certificate]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let pem = [std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap()].concat();
    std::fs::write(&both, pem).unwrap();
    both
}

fn curl(certificate: &str, arguments: &[&str]) -> String {
    let ran =
        Command::new("curl").args(["--cacert", certificate, "--max-time", "20"]).args(arguments).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
async fn a_service_that_was_told_to_stop_leaves_the_gateway_before_it_closes_its_door() {
    let topology = Topology::start().await;
    let delay = ["--event-store-url", &topology.store_url(), "--shutdown-delay-ms", "300000"];
    let mut leaving = Service::start(&topology.place, "leaving", "command-api", &["--listen"], &delay).await;
    leaving.ready().await;
    let command_apis = [leaving.addr(), topology.command_apis[0].addr()];
    let gateway = Gateway::start(&topology.place, command_apis, [topology.query_api.addr(); 2], &[]).await;
    leaving.tell_to_stop();
    let door = leaving.site();
    let told = eventually("it is not ready", async || door.try_get("/readyz").await?.wanted(503)).await;
    assert_eq!(told["checks"]["process"]["ready"], false, "{told}");
    eventually("the gateway has taken it out", async || {
        let log = gateway.log();
        if log.contains("Server commands/command-api-1 is DOWN") { Ok(()) } else { Err(log) }
    })
    .await;
    // Whoever did not hear of it yet is served all the same.
    door.get("/livez").await.json(200);
    door.warehouse(1, 5).await.json(201);
    for book in 1..=20 {
        gateway.site().warehouse(book, 5).await.json(201);
    }
    // The second signal ends the waiting.
    assert_eq!(leaving.stop().await.code, Some(0));
}
