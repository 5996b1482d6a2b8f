//! S2: hostile bodies against every route that takes one. Each is refused with a clear problem, nothing is booked, nothing
//! fails, and memory stays where it was.
#![cfg(test)]

use e2e::{Answer, PATIENCE, Place, Service, Site, eventually};
use event_store::{Direction, EventStore as _, Kurrent, Options, Start};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const JSON: &str = "application/json";

/// How often a slow client sends a byte.
const DRIP: Duration = Duration::from_millis(200);

/// What a refusal may be: the client's fault, and which.
const REFUSALS: [u16; 6] = [400, 404, 408, 413, 415, 422];

/// A command API and its store.
struct Desk {
    _place: Arc<Place>,
    store: Service,
    api: Service,
}

impl Desk {
    async fn open() -> Self {
        let place = Arc::new(Place::new());
        let data = place.path().join("events").display().to_string();
        let store =
            Service::start(&place, "store", "event-store-server", &["--listen"], &["--data", &data]).await;
        let url = format!("esdb://{}?tls=false", store.addr());
        let arguments = ["--event-store-url", &url];
        let api = Service::start(&place, "command-api", "command-api", &["--listen"], &arguments).await;
        api.ready().await;
        Self { _place: place, store, api }
    }

    fn site(&self) -> Site {
        self.api.site()
    }

    /// The paths of all commands, from the document of the interface, each for book 1.
    async fn routes(&self) -> Vec<String> {
        let document = self.site().get("/openapi.json").await.json(200);
        let paths = document["paths"].as_object().unwrap().iter();
        let commands = paths.filter(|(_, item)| item["post"].is_object());
        let routes: Vec<_> = commands.map(|(path, _)| path.replace("{bookId}", "1")).collect();
        assert!(routes.len() >= 5, "{routes:?}");
        routes
    }

    /// Whether nothing of all that had an effect, and a command still has one.
    async fn is_unharmed(&self) {
        let url = format!("esdb://{}?tls=false", self.store.addr());
        let store = Kurrent::connect(&url, Options { call_timeout: PATIENCE, ..Options::default() }).unwrap();
        let events = store.read_all(Start::Beginning, Direction::Forwards, 10).await.unwrap();
        assert!(events.is_empty(), "{events:?}");
        let metrics = self.site().get("/metrics").await.text;
        // Not ready, at its start, is no failure.
        let is_failure = |line: &&str| line.contains("method=\"POST\"") && line.contains("status=\"5");
        let failed: Vec<_> = metrics.lines().filter(is_failure).collect();
        assert!(failed.is_empty(), "{failed:?}");
        self.site().warehouse(1, 5).await.json(201);
    }
}

/// Bodies that say they are JSON, by what is wrong with them.
fn json_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"qty\":{}1{}}}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let mut bodies = vec![
        ("half an object", text("{")),
        ("half a string", text("{\"qty\":\"1")),
        ("half an escape", text("{\"qty\":\"\\u12")),
        ("two objects", text("{\"qty\":1}{\"qty\":1}")),
        ("a comma too much", text("{\"qty\":1,}")),
        ("a comment", text("{\"qty\":1/*one*/}")),
        ("single quotes", text("{'qty':1}")),
        ("a NUL behind", text("{\"qty\":1}\0")),
        ("a byte order mark", text("\u{feff}{\"qty\":1}")),
        ("UTF-16", "{\"qty\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("no UTF-8", b"\xff\xfe\xfd".to_vec()),
        ("no UTF-8 in a string", b"{\"name\":\"\xc3\x28\",\"qty\":1}".to_vec()),
        ("overlong UTF-8", b"{\"name\":\"\xc0\xaf\",\"qty\":1}".to_vec()),
        ("a lone surrogate", text("{\"qty\":1,\"name\":\"\\ud800\",\"reason\":\"\\udfff\"}")),
        (
            "a field twice",
            text("{\"qty\":1,\"qty\":1,\"bookId\":1,\"bookId\":1,\"version\":1,\"version\":1}"),
        ),
        (
            "a field twice, once in disguise",
            text("{\"qty\":1,\"\\u0071ty\":2,\"version\":1,\"\\u0076ersion\":1}"),
        ),
        ("a prototype", text("{\"__proto__\":{\"qty\":1}}")),
        ("an array", text("[{\"qty\":1}]")),
        ("a text", text("\"one\"")),
        ("arrays without end", text(&"[".repeat(60_000))),
        ("objects without end", text(&"{\"a\":".repeat(12_000))),
        ("arrays in a field", nested("[", "]", 30_000)),
        ("objects in a field", nested("{\"a\":", "}", 9_000)),
        ("a long name of a field", format!("{{\"{}\":1}}", "q".repeat(60_000)).into_bytes()),
        ("a long number", format!("{{\"qty\":{}}}", "9".repeat(60_000)).into_bytes()),
        ("a long fraction", format!("{{\"version\":1.{}1,\"qty\":1}}", "0".repeat(60_000)).into_bytes()),
        (
            "a long text",
            format!("{{\"qty\":1,\"name\":\"{0}\",\"reason\":\"{0}\"}}", "책".repeat(10_000)).into_bytes(),
        ),
        ("thousands of fields", {
            let fields: Vec<_> = (0..5_000).map(|field| format!("\"f{field}\":1")).collect();
            format!("{{{}}}", fields.join(",")).into_bytes()
        }),
        ("too much space", format!("{{\"qty\":{}1}}", " ".repeat(100_000)).into_bytes()),
    ];
    for number in [
        "0",
        "-1",
        "1000001",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1e400",
        "-1e400",
        "1e-400",
        "1.0000001",
        "0x10",
        "NaN",
        "Infinity",
        "-0",
        "01",
        "+1",
        "true",
        "{}",
        "[]",
        "\"\"",
        "\"\\u0031\\u0000\"",
    ] {
        let body = format!(
            "{{\"bookId\":{number},\"qty\":{number},\"qtyDelta\":{number},\"version\":{number},\"reason\":\"x\"}}"
        );
        bodies.push((number, body.into_bytes()));
    }
    bodies
}

/// Ten megabytes of nothing, packed into ten kilobytes.
fn bomb() -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![b' '; 10 << 20]).unwrap();
    packer.finish().unwrap()
}

/// Whether it is a refusal: a problem document, or for a list a result that is one for every row there is.
fn assert_refused(answer: &Answer, what: &str) {
    if answer.status == 200 {
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in lines {
            let status = line["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            assert!(status.is_some_and(|status| REFUSALS.contains(&status)), "{what}: {line}");
            assert!(
                line["problem"]["detail"].as_str().is_some_and(|text| text.len() < 1_000),
                "{what}: {line}"
            );
        }
        return;
    }
    assert!(REFUSALS.contains(&answer.status), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let document = answer.json(answer.status);
    assert!(document["type"].as_str().unwrap().starts_with("urn:bookstock:problem:"), "{what}: {document}");
    assert!(answer.text.len() < 2_000, "{what}: {document}");
}

#[tokio::test]
async fn a_hostile_body_is_refused_on_every_route() {
    let desk = Desk::open().await;
    let site = desk.site();
    let packed = bomb();
    for route in desk.routes().await {
        let send = async |what: &str, headers: &[(&str, &str)], body: Vec<u8>| {
            let answer = site.send(Method::POST, &route, headers, body).await;
            assert_refused(&answer, &format!("{what} to {route}"));
            answer
        };
        for (what, body) in json_bodies() {
            send(what, &[("content-type", JSON)], body.clone()).await;
            if route == "/warehousings" {
                let array = [b"[".to_vec(), body.clone(), b"]".to_vec()].concat();
                send(what, &[("content-type", JSON)], array).await;
                let line = [body.clone(), b"\n".to_vec()].concat();
                send(what, &[("content-type", "application/x-ndjson")], line).await;
                let cells = [b"bookId,qty,name\n1,\"".to_vec(), body, b"\",x\n".to_vec()].concat();
                send(what, &[("content-type", "text/csv")], cells).await;
            }
        }
        let long = format!("application/{}", "x".repeat(8_000));
        for media_type in [
            "",
            "text/plain",
            "text/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            &long,
        ] {
            let answer =
                send(media_type, &[("content-type", media_type)], b"{\"bookId\":1,\"qty\":1}".to_vec()).await;
            assert_eq!(answer.status, 415, "{media_type} to {route}");
        }
        for encoding in ["gzip", "br", "deflate", "gzip, gzip", "identity, gzip", "nonsense"] {
            let headers = [("content-type", JSON), ("content-encoding", encoding)];
            let answer = send(encoding, &headers, packed.clone()).await;
            answer.problem(415, "unsupported-content-encoding");
        }
        let packed_and_silent = send("a bomb", &[("content-type", JSON)], packed.clone()).await;
        assert!(matches!(packed_and_silent.status, 200 | 400), "{packed_and_silent:?}");
    }
    desk.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_without_end_are_cut_off_and_leave_memory_where_it_was() {
    const AT_ONCE: usize = 32;
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 1_200;
    const LISTS_AT_ONCE: usize = 4;
    const BAD_ROWS: usize = 50_000;
    let desk = Desk::open().await;
    let routes = desk.routes().await;
    let before = desk.api.peak_memory_bytes();
    let mut floods = JoinSet::new();
    for (number, route) in routes.iter().cycle().take(AT_ONCE).cloned().enumerate() {
        let site = desk.site();
        floods.spawn(async move {
            let piece = if number % 2 == 0 { vec![b'['; PIECE] } else { vec![b'"'; PIECE] };
            let pieces = (0..PIECES).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
            let body = Body::wrap_stream(tokio_stream::iter(pieces));
            // Who goes on to send is hung up on, and may not see the answer.
            let sent =
                reqwest::Client::new().post(site.url(&route)).header("content-type", JSON).body(body).send();
            if let Ok(answer) = sent.await {
                let status = answer.status().as_u16();
                assert!(matches!(status, 200 | 400 | 413 | 503), "{route}: {status}");
            }
        });
    }
    floods.join_all().await;
    let grown = || desk.api.peak_memory_bytes().saturating_sub(before) >> 20;
    assert!(grown() < 64, "{AT_ONCE} bodies of {} MiB took {} MiB", (PIECE * PIECES) >> 20, grown());

    // As many lists as are taken at once, each of bad rows only, of which there is most to tell.
    let row = format!("{{\"{}\":1}}\n", "\u{10ffff}".repeat(64));
    let list = row.repeat(BAD_ROWS);
    let refusal = async || {
        eventually("its turn, after the last of the flood", async || {
            let url = desk.site().url("/warehousings?atomic=check");
            let list = reqwest::Client::new().post(url).body(list.clone());
            let list = list.header("content-type", "application/x-ndjson");
            // Who is refused before the list is read may be hung up on before the answer comes.
            let answer = list.send().await.map_err(|error| error.to_string())?;
            match answer.status().as_u16() {
                503 => Err("503".to_owned()),
                status => Ok((status, answer.json::<Value>().await.map_err(|error| error.to_string())?)),
            }
        })
        .await
    };
    let refusals: [_; LISTS_AT_ONCE] = tokio::join!(refusal(), refusal(), refusal(), refusal()).into();
    for (status, refused) in refusals {
        assert_eq!((status, refused["type"].as_str()), (422, Some("urn:bookstock:problem:rows-refused")));
        let told = refused["rows"].as_array().unwrap().len();
        assert_eq!((refused["badRows"].as_u64(), told), (Some(BAD_ROWS as u64), 100));
    }
    assert!(grown() < 64, "{LISTS_AT_ONCE} lists of {BAD_ROWS} bad rows took {} MiB", grown());
    desk.site().warehouse(1, 5).await.json(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_or_too_many_headers_is_cut_off_while_others_are_served() {
    let desk = Desk::open().await;
    let (site, addr) = (desk.site(), desk.api.addr());
    let post = "POST /books/1/warehousings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let mut slowly = JoinSet::new();
    for _ in 0..64 {
        slowly.spawn(dripped(addr, format!("{post}content-length: 60000\r\n\r\n{{\"qty\":")));
    }

    for (what, headers) in [
        ("many headers", (0..500).map(|number| format!("x-{number}: 1\r\n")).collect::<String>()),
        ("large headers", format!("x-large: {}\r\n", "x".repeat(100_000))),
        ("a large cookie", format!("cookie: {}\r\n", "x=y; ".repeat(20_000))),
    ] {
        let answer = raw(addr, &format!("{post}{headers}content-length: 9\r\n\r\n{{\"qty\":1}}")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{what}: {answer}");
    }
    for (what, request) in [
        ("two lengths", format!("{post}content-length: 9\r\ncontent-length: 10\r\n\r\n{{\"qty\":1}}")),
        ("no length that is one", format!("{post}content-length: nine\r\n\r\n{{\"qty\":1}}")),
        (
            "a chunk that is none",
            format!("{post}transfer-encoding: chunked\r\n\r\nxyz\r\n{{\"qty\":1}}\r\n0\r\n\r\n"),
        ),
        ("a body that is shorter than it says", format!("{post}content-length: 99\r\n\r\n{{\"qty\":1}}")),
    ] {
        let answer = raw(addr, &request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
    }

    site.post("/books/2/warehousings", &json!({"qty": 1})).await.json(201);
    for answer in slowly.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body-too-slow"), "{answer}");
    }
    eventually("all that is left is one book", async || {
        site.try_get("/libraries/1").await?.wanted(404)?;
        site.try_get("/libraries/2").await?.wanted(200)
    })
    .await;
}

/// Sends these bytes, then nothing, and returns what comes until the other side closes.
async fn raw(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // What is refused before it is read may be hung up on.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.shutdown().await;
    all_of(stream).await
}

/// Sends these bytes, then one more again and again, and returns what comes meanwhile.
async fn dripped(addr: SocketAddr, head: String) -> String {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (reading, mut dripping) = stream.into_split();
    dripping.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while dripping.write_all(b" ").await.is_ok() {
            tokio::time::sleep(DRIP).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        answer = all_of(reading) => answer,
        answer = dripping => answer,
    }
}

async fn all_of(mut stream: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    // A reset after the answer takes nothing back of it.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is not closed after {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}
