//! What the answers of all commands have in common.

use super::headers::Wanted;
use crate::transact::Outcome;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::book::{Book, BookId, BookName, Edition, Stock};
use event_store::{Appended, Position};
use serde::{Serialize, Serializer};
use service_kit::Problem;

/// On an answer that is shorter because that was preferred.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

const POSITION: HeaderName = HeaderName::from_static("bookstock-position");

/// On the answer to a repeat, so that a client can tell what it booked from what had been booked already.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A book as a command or the stream's last event left it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookNow {
    book_id: BookId,
    name: Option<BookName>,
    version: Edition,
    stock: Stock,
    revision: u64,
    #[serde(serialize_with = "as_text")]
    position: Position,
    #[serde(skip)]
    repeated: bool,
}

impl BookNow {
    /// The book that is there after a command.
    pub(super) fn after(book_id: BookId, outcome: Outcome<Book>) -> Result<Self, Problem> {
        let found = outcome.last.and_then(|last| Self::at(book_id, &outcome.state, last));
        found.map(|book| Self { repeated: outcome.repeated, ..book }).ok_or_else(|| {
            Problem::internal(&format_args!("a command for book {book_id} was booked and there is no book"))
        })
    }

    /// Whether this is the first answer again.
    pub(super) fn repeated(&self) -> bool {
        self.repeated
    }

    /// The book in this state, if it is known in it.
    pub(super) fn at(book_id: BookId, book: &Book, at: Appended) -> Option<Self> {
        book.holding().map(|holding| Self {
            book_id,
            name: holding.name.clone(),
            version: holding.edition,
            stock: holding.stock,
            revision: at.revision,
            position: at.position,
            repeated: false,
        })
    }
}

/// `201 Created` with `body`, or without if so `wanted`, for a command that led to `book`.
pub(super) fn created(
    book: &BookNow,
    wanted: Wanted,
    location: &str,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let mut response = with_place(book, "application/json", body)?;
    if wanted == Wanted::Minimal {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
    }
    *response.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::from_str(location).map_err(|error| Problem::internal(&error))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// `200 OK` with `body`, telling by its headers the place of `book` in its stream and in the store.
pub(super) fn with_place(
    book: &BookNow,
    content_type: &'static str,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    let etag = HeaderValue::from_str(&format!("\"{}\"", book.revision));
    response.headers_mut().insert(header::ETAG, etag.map_err(|error| Problem::internal(&error))?);
    response.headers_mut().insert(POSITION, HeaderValue::from(book.position.0));
    if book.repeated {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}
