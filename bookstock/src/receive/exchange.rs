//! One request and its results, over a connection that may be slow: it is waited for as long as something moves.

use axum::body::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Body, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long nothing may move, in either direction; each row is answered within a second or so.
const SILENCE: Duration = Duration::from_secs(30);

/// So much of a body is handed over at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// What ended a request before every row had its answer.
pub(super) enum Broken {
    /// It can be sent again.
    Again { reason: String, after: Option<Duration> },
    /// The system asks for a token, and ours is none that it takes, for this reason.
    NotLetIn(String),
    /// Every other request would fare the same.
    Never(String),
}

/// A row's result, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Told {
    pub(super) row: usize,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) replayed: bool,
    #[serde(default)]
    pub(super) problem: Problem,
}

#[derive(Default, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    title: Option<String>,
    detail: Option<String>,
}

impl Problem {
    pub(super) fn reason(self, status: impl ToString) -> String {
        self.detail.or(self.title).unwrap_or_else(|| status.to_string())
    }
}

/// Sends these rows, and answers with their results as soon as there are any.
pub(super) async fn send(request: RequestBuilder, rows: Vec<u8>) -> Result<Results, Broken> {
    let moved = Arc::new(Notify::new());
    let request =
        request.header(CONTENT_TYPE, "application/x-ndjson").body(in_pieces(rows, Arc::clone(&moved)));
    let response = while_it_moves(&moved, request.send()).await.ok_or_else(silent)?.map_err(again)?;
    if response.status() != StatusCode::OK || !has_results(response.headers()) {
        return Err(judge(response).await);
    }
    Ok(Results { response, buffer: Vec::new() })
}

/// A body that tells of each piece that is taken of it.
fn in_pieces(body: Vec<u8>, moved: Arc<Notify>) -> Body {
    let body = Bytes::from(body);
    Body::wrap_stream(stream::unfold(body, move |mut rest| {
        moved.notify_one();
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        std::future::ready((!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), rest)))
    }))
}

/// What comes in the end; nothing, if nothing moves for too long before that.
async fn while_it_moves<T>(moved: &Notify, end: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(end);
    loop {
        tokio::select! {
            end = &mut end => return Some(end),
            moves = timeout(SILENCE, moved.notified()) => moves.ok()?,
        }
    }
}

/// The results as they come.
pub(super) struct Results {
    response: Response,
    buffer: Vec<u8>,
}

impl Results {
    pub(super) async fn next(&mut self) -> Result<Option<Told>, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| Broken::Never(format!("its result cannot be read: {error}")));
            }
            match timeout(SILENCE, self.response.chunk()).await.map_err(|_| silent())?.map_err(again)? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

fn has_results(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/x-ndjson"))
}

/// What an answer means that has no results.
async fn judge(response: Response) -> Broken {
    let (status, after) = (response.status(), retry_after(response.headers()));
    let problem: Problem =
        timeout(SILENCE, response.json()).await.ok().and_then(Result::ok).unwrap_or_default();
    let reason = problem.reason(status);
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Broken::Again { reason, after },
        _ if status.is_server_error() => Broken::Again { reason, after },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Broken::NotLetIn(reason),
        _ => Broken::Never(reason),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn again(error: reqwest::Error) -> Broken {
    Broken::Again { reason: with_causes(&error), after: None }
}

fn silent() -> Broken {
    Broken::Again { reason: format!("nothing came for {} s", SILENCE.as_secs()), after: None }
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
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn what_moves_is_waited_for_and_what_does_not_is_not() {
        let moved = Notify::new();
        let moves = async {
            for _ in 0..100 {
                sleep(SILENCE / 2).await;
                moved.notify_one();
            }
            sleep(SILENCE / 2).await;
        };
        assert_eq!(while_it_moves(&moved, moves).await, Some(()));
        assert_eq!(while_it_moves(&Notify::new(), sleep(SILENCE * 2)).await, None);
    }
}
