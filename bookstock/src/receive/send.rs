//! Sends one row until it has an answer.

use super::delivery::Delivery;
use super::list::Row;
use anyhow::Context as _;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use std::time::{Duration, Instant};

/// The header of an answer that was given before.
const REPLAYED: &str = "idempotency-replayed";

/// How long one request may take; the command side answers within a second or so, whatever happens.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The first pause before a row is sent again; each next is twice as long, up to the longest.
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
    /// What answers is no command API, or not one that lets us in; every other row would fare the same.
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
        "http" => Ok(text.trim_end_matches('/').to_owned()),
        scheme => Err(format!("only http:// addresses are supported, not {scheme}://")),
    }
}

/// What one try came to.
enum Try {
    Answered(Answer),
    Again { reason: String, after: Option<Duration> },
    Never(String),
}

impl Sender {
    /// A sender to the system at `url` that tries each row for as long as `patience`.
    ///
    /// # Errors
    /// When no HTTP client can be set up.
    pub fn new(url: String, delivery: Delivery, patience: Duration) -> anyhow::Result<Self> {
        let http = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .context("no HTTP client can be set up")?;
        Ok(Self { http, url, delivery, patience })
    }

    /// Sends `row`, again and with the same key as long as the system is out, and tells what became of it.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, row: &Row) -> Result<Answer, SendError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let (reason, after) = match self.try_once(row).await {
                Try::Answered(answer) => return Ok(answer),
                Try::Never(reason) => return Err(SendError::NotTaken { url: self.url.clone(), reason }),
                Try::Again { reason, after } => (reason, after.unwrap_or_default().max(pause)),
            };
            let waited = started.elapsed();
            if waited + after > self.patience {
                return Err(SendError::GaveUp { line: row.line, waited_secs: waited.as_secs(), reason });
            }
            tokio::time::sleep(after).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(&self, row: &Row) -> Try {
        let request = self
            .http
            .post(format!("{}/books/{}/warehousings", self.url, row.book_id))
            .header("idempotency-key", self.delivery.key(row.line))
            .json(row);
        match request.send().await {
            Ok(response) => judge(response).await,
            Err(error) => Try::Again { reason: with_causes(&error), after: None },
        }
    }
}

async fn judge(response: Response) -> Try {
    let (status, replayed) =
        (response.status(), response.headers().get(REPLAYED).is_some_and(|value| value == "true"));
    let after = retry_after(response.headers());
    match status {
        StatusCode::CREATED if replayed => Try::Answered(Answer::AlreadyBooked),
        StatusCode::CREATED => Try::Answered(Answer::Booked),
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            Try::Answered(Answer::Refused(reason(response).await))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Try::Again { reason: reason(response).await, after }
        }
        _ if status.is_server_error() => Try::Again { reason: reason(response).await, after },
        _ => Try::Never(reason(response).await),
    }
}

/// What a problem document says, or the bare status if there is none.
async fn reason(response: Response) -> String {
    let status = response.status();
    let problem: serde_json::Value = response.json().await.unwrap_or_default();
    let text = |member: &str| problem.get(member).and_then(serde_json::Value::as_str);
    text("detail").or_else(|| text("title")).map_or_else(|| status.to_string(), str::to_owned)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The client's own text leaves out what happened underneath.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::ReceivingList;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::IntoResponse;
    use axum::routing::post;
    use std::sync::{Arc, Mutex};

    /// Sends one row to a server that gives these answers one after the other, and tells the keys that it was sent
    /// under.
    async fn send<A>(answers: Vec<A>, patience: Duration) -> (Result<Answer, SendError>, Vec<String>)
    where
        A: IntoResponse + Send + 'static,
    {
        let (answers, keys) = (Arc::new(Mutex::new(answers.into_iter())), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&keys);
        let route = post(move |headers: HeaderMap, body: String| {
            assert_eq!(body, r#"{"qty":2}"#);
            seen.lock().unwrap().push(headers["idempotency-key"].to_str().unwrap().to_owned());
            let answer = answers.lock().unwrap().next().unwrap();
            async move { answer }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = axum::serve(listener, Router::new().route("/books/1/warehousings", route));
        let server = tokio::spawn(server.into_future());
        let sender = Sender::new(url, "truck".parse().unwrap(), patience).unwrap();
        let answer = sender.send(&ReceivingList::parse(b"bookId,qty\n1,2\n").unwrap().rows[0]).await;
        server.abort();
        let keys = keys.lock().unwrap().clone();
        (answer, keys)
    }

    #[tokio::test]
    async fn a_row_is_sent_again_with_the_same_key_until_it_is_answered() {
        let (created, out) = (StatusCode::CREATED, StatusCode::SERVICE_UNAVAILABLE);
        let (answer, keys) = send(vec![out, StatusCode::BAD_GATEWAY, created], Duration::from_secs(20)).await;
        assert_eq!(answer, Ok(Answer::Booked));
        assert_eq!(keys, ["truck:2", "truck:2", "truck:2"]);
    }

    #[tokio::test]
    async fn a_replayed_answer_means_that_it_was_booked_before() {
        let replayed = (StatusCode::CREATED, [("Idempotency-Replayed", "true")]);
        assert_eq!(send(vec![replayed], Duration::ZERO).await.0, Ok(Answer::AlreadyBooked));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_words_of_the_problem() {
        let problem = (StatusCode::CONFLICT, r#"{"title":"Another edition","detail":"It is 2.0."}"#);
        assert_eq!(send(vec![problem], Duration::ZERO).await.0, Ok(Answer::Refused("It is 2.0.".to_owned())));
    }

    #[tokio::test]
    async fn a_server_that_wants_a_longer_pause_than_there_is_patience_is_given_up() {
        let out = (StatusCode::SERVICE_UNAVAILABLE, [("Retry-After", "60")]);
        let (answer, keys) = send(vec![out], Duration::from_secs(20)).await;
        assert!(matches!(answer, Err(SendError::GaveUp { line: 2, .. })), "{answer:?}");
        assert_eq!(keys.len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_command_api_ends_the_sending() {
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FOUND, StatusCode::UNAUTHORIZED] {
            let (answer, _) = send(vec![status], Duration::from_secs(20)).await;
            assert!(matches!(answer, Err(SendError::NotTaken { .. })), "{status}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_told_after_the_patience_is_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let sender = Sender::new(url, "truck".parse().unwrap(), Duration::ZERO).unwrap();
        let answer = sender.send(&ReceivingList::parse(b"bookId,qty\n1,2\n").unwrap().rows[0]).await;
        assert!(
            matches!(&answer, Err(SendError::GaveUp { reason, .. }) if reason.contains("refused")),
            "{answer:?}"
        );
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_before_anything_is_sent() {
        assert_eq!(base_url("http://books.example:8088/").as_deref(), Ok("http://books.example:8088"));
        assert!(base_url("https://books.example").is_err());
        assert!(base_url("localhost:8088").is_err());
    }
}
