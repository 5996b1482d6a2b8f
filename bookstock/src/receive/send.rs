//! Sends rows, many in a request, until each has an answer.

use super::delivery::Delivery;
use super::exchange::{self, Broken, Told};
use super::list::Row;
use super::token::Token;
use anyhow::Context as _;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Url, redirect};
use serde::Serialize;
use std::time::{Duration, Instant};

/// The problems of a book whose history cannot be read, or is deleted: an operator has to look at it, so it does not help to
/// wait. Whether the row was booked before is not known.
const UNREADABLE: [&str; 2] =
    ["urn:bookstock:problem:stream-unreadable", "urn:bookstock:problem:book-deleted"];

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The first pause before rows are sent again; each next is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its copies are booked now.
    Booked,
    /// They were booked when it was sent before: by an earlier run, or by a try of this one whose answer was lost.
    AlreadyBooked,
    /// A rule refused it, for this reason.
    Refused(String),
    /// The history of its book cannot be read, for this reason, so nobody can tell whether it was booked before.
    Unreadable(String),
}

/// Why sending came to an end before its time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The system was out for too long.
    #[error("no answer for line {line} within {waited_secs} s: {reason}")]
    GaveUp {
        /// The row's line.
        line: u64,
        /// How long it was tried, in seconds.
        waited_secs: u64,
        /// What happened at last.
        reason: String,
    },
    /// The system asks for a token that lets us in.
    #[error("{url} asks for a token with the scope books:write: {reason}; give one in BOOKSTOCK_TOKEN")]
    NotLetIn {
        /// Who answered.
        url: String,
        /// What it said.
        reason: String,
    },
    /// What answers is no command API.
    #[error("{url} does not take warehousings: {reason}; check --url")]
    NotTaken {
        /// Who answered.
        url: String,
        /// What it said.
        reason: String,
    },
}

/// Sends the rows of one delivery.
#[derive(Clone, Debug)]
pub struct Sender {
    http: Client,
    url: String,
    delivery: Delivery,
    patience: Duration,
}

/// The address of a system, as `--url` takes it.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(text.trim_end_matches('/').to_owned()),
        scheme => Err(format!("only https:// and http:// addresses are supported, not {scheme}:")),
    }
}

/// A row as it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    #[serde(flatten)]
    row: &'a Row,
    idempotency_key: String,
}

impl Sender {
    /// A sender to the system at `url` that shows `token` and goes on for `patience` while no row gets an answer.
    ///
    /// # Errors
    /// When the token is none, or no HTTP client can be set up.
    pub fn new(
        url: String,
        delivery: Delivery,
        patience: Duration,
        token: Option<&Token>,
    ) -> anyhow::Result<Self> {
        let token = token.map(Token::header).transpose()?.flatten();
        let http = Client::builder()
            .default_headers(token.map(|token| (AUTHORIZATION, token)).into_iter().collect::<HeaderMap>())
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .context("no HTTP client can be set up")?;
        Ok(Self { http, url, delivery, patience })
    }

    /// Sends `rows`, which are all rows of their books, and tells what became of each by its place among them. Rows that
    /// are not answered are sent again with the same keys as long as the system is out; `away` is told when that begins, and why.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        rows: &[&Row],
        mut answered: impl FnMut(usize, Answer),
        mut away: impl FnMut(&str),
    ) -> Result<(), SendError> {
        let mut open: Vec<usize> = (0..rows.len()).collect();
        let mut is_told = false;
        let (mut since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let before = open.len();
            let (reason, after) = match self.request(rows, &mut open, &mut answered).await {
                _ if open.is_empty() => return Ok(()),
                Ok(reason) => (reason, None),
                Err(Broken::Again { reason, after }) => (reason, after),
                Err(Broken::NotLetIn(reason)) => {
                    return Err(SendError::NotLetIn { url: self.url.clone(), reason });
                }
                Err(Broken::Never(reason)) => {
                    return Err(SendError::NotTaken { url: self.url.clone(), reason });
                }
            };
            if open.len() < before {
                (since, pause, is_told) = (Instant::now(), FIRST_PAUSE, false);
            }
            let (waited, after) = (since.elapsed(), after.unwrap_or_default().max(pause));
            if waited + after > self.patience {
                let line = open.first().and_then(|place| rows.get(*place)).map_or(0, |row| row.line);
                return Err(SendError::GaveUp { line, waited_secs: waited.as_secs(), reason });
            }
            if !is_told {
                away(&format!("trying again, at {}: {reason}", self.url));
                is_told = true;
            }
            tokio::time::sleep(after).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends the open rows once, and takes those that are answered out of them. Answers why the last of the others is
    /// still open.
    async fn request(
        &self,
        rows: &[&Row],
        open: &mut Vec<usize>,
        answered: &mut impl FnMut(usize, Answer),
    ) -> Result<String, Broken> {
        let request = self.http.post(format!("{}/warehousings?atomic=check", self.url));
        let mut results = exchange::send(request, self.body(rows, open)?).await?;
        let sent_rows = std::mem::take(open);
        let (mut reason, mut next) = ("not all rows were answered".to_owned(), 0);
        let ended = loop {
            let Told { row, status, replayed, problem } = match results.next().await {
                Ok(Some(told)) => told,
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            };
            // Results come in the order of the rows; anything else is no result of ours.
            let Some(place) = sent_rows.get(next).filter(|_| row == next + 1) else {
                break Err(Broken::Never(format!(
                    "it answered for row {row} where row {} was next",
                    next + 1
                )));
            };
            next += 1;
            match status {
                201 if replayed => answered(*place, Answer::AlreadyBooked),
                201 => answered(*place, Answer::Booked),
                _ if UNREADABLE.contains(&&*problem.kind) => {
                    answered(*place, Answer::Unreadable(problem.reason(status)));
                }
                400..500 => answered(*place, Answer::Refused(problem.reason(status))),
                _ => {
                    reason = problem.reason(status);
                    open.push(*place);
                }
            }
        };
        open.extend(sent_rows.get(next..).unwrap_or_default());
        ended.map(|()| reason)
    }

    fn body(&self, rows: &[&Row], open: &[usize]) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        for row in open.iter().filter_map(|place| rows.get(*place)) {
            let sent = Sent { row, idempotency_key: self.delivery.key(row.line) };
            serde_json::to_writer(&mut body, &sent).map_err(|error| Broken::Never(error.to_string()))?;
            body.push(b'\n');
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::ReceivingList;
    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::post;
    use reqwest::StatusCode;
    use std::sync::{Arc, Mutex};

    const RESULTS: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

    /// Sends three rows to a server that gives these answers one after the other, and tells what became of them, and
    /// the keys of each request.
    async fn send<A>(
        answers: Vec<A>,
        patience: Duration,
    ) -> (Result<(), SendError>, Vec<(usize, Answer)>, Vec<String>)
    where
        A: IntoResponse + Send + 'static,
    {
        let (answers, bodies) = (Arc::new(Mutex::new(answers.into_iter())), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&bodies);
        let route = post(move |body: String| {
            let keys = body.lines().map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                row["idempotencyKey"].as_str().unwrap().to_owned()
            });
            seen.lock().unwrap().push(keys.collect::<Vec<_>>().join(" "));
            let answer = answers.lock().unwrap().next().unwrap();
            async move { answer }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = axum::serve(listener, Router::new().route("/warehousings", route));
        let server = tokio::spawn(server.into_future());
        let sender = Sender::new(url.clone(), "truck".parse().unwrap(), patience, None).unwrap();
        let list = ReceivingList::parse(b"bookId,qty\n1,2\n2,2\n3,2\n").unwrap();
        let mut answered = Vec::new();
        let rows: Vec<&Row> = list.rows.iter().collect();
        let mut told = Vec::new();
        let away = |words: &str| told.push(words.to_owned());
        let outcome = sender.send(&rows, |place, answer| answered.push((place, answer)), away).await;
        assert!(
            told.len() < bodies.lock().unwrap().len().max(1),
            "only before it sends again does it say so"
        );
        // Here it has always answered.
        assert!(told.iter().all(|words| words.starts_with(&format!("trying again, at {url}: "))), "{told:?}");
        server.abort();
        let bodies = bodies.lock().unwrap().clone();
        (outcome, answered, bodies)
    }

    fn results(lines: &str) -> axum::response::Response {
        (RESULTS, lines.to_owned()).into_response()
    }

    #[tokio::test]
    async fn open_rows_and_no_others_are_sent_again_with_their_keys() {
        let out = StatusCode::SERVICE_UNAVAILABLE.into_response();
        let first = results("{\"row\":1,\"status\":201}\n{\"row\":2,\"status\":503,\"problem\":{}}\n");
        let second = results("{\"row\":1,\"status\":201,\"replayed\":true}\n{\"row\":2,\"status\":201}\n");
        let (outcome, answered, keys) = send(vec![out, first, second], Duration::from_secs(20)).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(answered, [(0, Answer::Booked), (1, Answer::AlreadyBooked), (2, Answer::Booked)]);
        assert_eq!(keys, ["truck:2 truck:3 truck:4", "truck:2 truck:3 truck:4", "truck:3 truck:4"]);
    }

    #[tokio::test]
    async fn a_refused_row_and_one_that_nobody_can_tell_of_end_nothing() {
        let lines = format!(
            "{}\n{}\n{}\n",
            r#"{"row":1,"status":409,"problem":{"title":"Another edition","detail":"It is 2.0."}}"#,
            r#"{"row":2,"status":503,"problem":{"type":"urn:bookstock:problem:stream-unreadable","title":"No"}}"#,
            r#"{"row":3,"status":201,"answer":{"stock":2}}"#
        );
        let (outcome, answered, _) = send(vec![results(&lines)], Duration::ZERO).await;
        assert_eq!(outcome, Ok(()));
        let expected =
            [Answer::Refused("It is 2.0.".to_owned()), Answer::Unreadable("No".to_owned()), Answer::Booked];
        assert_eq!(answered.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_row_of_a_deleted_book_may_be_booked_and_is_not_sent_again() {
        let lines = r#"{"row":1,"status":410,"problem":{"type":"urn:bookstock:problem:book-deleted","title":"No","detail":"It was deleted."}}
{"row":2,"status":201}
{"row":3,"status":201}
"#;
        let (outcome, answered, keys) = send(vec![results(lines)], Duration::from_secs(20)).await;
        assert_eq!((outcome, keys.len()), (Ok(()), 1));
        let expected = [Answer::Unreadable("It was deleted.".to_owned()), Answer::Booked, Answer::Booked];
        assert_eq!(answered.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_server_that_wants_a_longer_pause_than_there_is_patience_is_given_up() {
        let out = (StatusCode::SERVICE_UNAVAILABLE, [("Retry-After", "60")]);
        let (outcome, _, keys) = send(vec![out], Duration::from_secs(20)).await;
        assert!(matches!(outcome, Err(SendError::GaveUp { line: 2, .. })), "{outcome:?}");
        assert_eq!(keys.len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_command_api_ends_the_sending() {
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FOUND] {
            let (outcome, _, _) = send(vec![status], Duration::from_secs(20)).await;
            assert!(matches!(outcome, Err(SendError::NotTaken { .. })), "{status}: {outcome:?}");
        }
        let (outcome, answered, _) =
            send(vec![results("{\"row\":2,\"status\":201}\n")], Duration::ZERO).await;
        assert!(matches!(outcome, Err(SendError::NotTaken { .. })), "{outcome:?}");
        assert_eq!(answered, []);
    }

    #[tokio::test]
    async fn who_asks_for_a_token_is_shown_ours_and_says_so_if_it_is_none() {
        let route =
            post(async |headers: HeaderMap| match headers.get(AUTHORIZATION).map(|shown| shown.as_bytes()) {
                Some(b"Bearer ey.J.9") => results("{\"row\":1,\"status\":201}\n"),
                Some(_) => (StatusCode::FORBIDDEN, "{\"detail\":\"No.\"}").into_response(),
                None => (StatusCode::UNAUTHORIZED, "{\"detail\":\"Who?\"}").into_response(),
            });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = axum::serve(listener, Router::new().route("/warehousings", route));
        let server = tokio::spawn(server.into_future());
        let list = ReceivingList::parse(b"bookId,qty\n1,2\n").unwrap();
        for (token, refused) in [("ey.J.9", None), ("another", Some("No.")), ("", Some("Who?"))] {
            let token = Token::from(token.to_owned());
            let sender =
                Sender::new(url.clone(), "truck".parse().unwrap(), Duration::ZERO, Some(&token)).unwrap();
            assert!(!format!("{sender:?}").contains("ey.J.9"), "{sender:?}");
            let outcome = sender.send(&[&list.rows[0]], |_, _| {}, |_| {}).await;
            let not_let_in =
                |reason: &str| SendError::NotLetIn { url: url.clone(), reason: reason.to_owned() };
            assert_eq!(outcome.err(), refused.map(not_let_in));
        }
        server.abort();
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_told_after_the_patience_is_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let sender = Sender::new(url, "truck".parse().unwrap(), Duration::ZERO, None).unwrap();
        let list = ReceivingList::parse(b"bookId,qty\n1,2\n").unwrap();
        let outcome = sender.send(&[&list.rows[0]], |_, _| {}, |_| {}).await;
        assert!(
            matches!(&outcome, Err(SendError::GaveUp { reason, .. }) if reason.contains("refused")),
            "{outcome:?}"
        );
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
        assert_eq!(base_url("http://books.example:8088/").as_deref(), Ok("http://books.example:8088"));
        assert_eq!(base_url("https://books.example").as_deref(), Ok("https://books.example"));
        for bad in ["localhost:8088", "books.example", "ftp://books.example", ""] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
