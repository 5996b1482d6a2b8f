//! The routes of the original system: `POST /libraries` is a warehousing if it has a qty, else a renewal, and
//! `GET /libraries/{bookId}` shows what came of it, straight from the stream.

use super::answer::{created, with_place};
use super::describe;
use super::fields::Fields;
use super::path::BookPath;
use super::problem::{
    BOOK_DELETED, BOOK_UNKNOWN, EDITION_MISMATCH, EDITION_NOT_GREATER, NO_LATER_EDITION, STOCK_LIMIT,
    STORE_UNAVAILABLE, STREAM_UNREADABLE, invalid, missing,
};
use super::wanted::Wanted;
use super::{BookNow, Desk, renew, warehouse};
use crate::intention::Intention;
use axum::extract::State;
use axum::response::Response;
use domain::book::{BookEvent, BookId, BookName, Quantity};
use serde::Serialize;
use serde_json::json;
use service_kit::openapi::Operation;
use service_kit::{Origin, Problem, text};
use std::sync::Arc;

/// How the document tells the command.
pub(super) fn posting() -> Operation {
    let fields = json!({
        "id": {"description": "Taken and ignored."},
        "bookId": describe::book_id(),
        "qty": describe::optional(describe::qty()),
        "version": describe::optional(describe::version()),
        "name": describe::name(),
    });
    let command = describe::command(
        "postLibrary",
        "A warehousing or a renewal, as the original system has it",
        "A warehousing if it has a qty, else a renewal.",
    )
    .body(true, &describe::object(&["bookId"], &fields), &json!({"bookId": 1, "qty": 123, "version": 1.0}))
    .fails([&EDITION_MISMATCH, &STOCK_LIMIT, &EDITION_NOT_GREATER, &NO_LATER_EDITION]);
    describe::created(command, describe::LIBRARY, &describe::library_example())
}

/// How the document tells the question.
pub(super) fn getting() -> Operation {
    let schema = describe::reference(describe::LIBRARY);
    Operation::new(
        "getLibrary",
        "What came of the last command for a book",
        "Straight from the book's stream.",
    )
    .answers(
        200,
        "The book now.",
        "application/hal+json",
        &schema,
        &describe::library_example(),
        &describe::PLACE,
    )
    .fails([&BOOK_UNKNOWN, &BOOK_DELETED, &STREAM_UNREADABLE, &STORE_UNAVAILABLE])
}

pub(super) async fn post(
    State(desk): State<Arc<Desk>>,
    origin: Origin,
    wanted: Wanted,
    intention: Intention,
    fields: Fields,
) -> Result<Response, Problem> {
    // The original's clients send an id of their own; it never meant anything.
    let fields = fields.only(&["id", "bookId", "qty", "version", "name"])?;
    let book_id: BookId = fields.number("bookId")?.ok_or_else(|| missing("bookId"))?;
    let (qty, version) = (fields.number("qty")?, fields.number("version")?);
    let name: Option<BookName> = fields.text("name")?;
    let book = match qty {
        Some(qty) => warehouse::run(&desk, book_id, qty, version, name, &intention).await?,
        None if name.is_some() => {
            return Err(invalid(
                "name",
                &text!(
                    en: "without a qty this is a renewal, and a renewal does not rename a book",
                    ko: "qty 가 없으면 재판이며, 재판은 도서 이름을 바꾸지 않습니다"
                ),
            ));
        }
        None => renew::run(&desk, book_id, version, &intention).await?,
    };
    let href = href(&origin, book_id);
    created(&book, wanted, &href, &Library::new(&href, qty, &book))
}

pub(super) async fn get(
    State(desk): State<Arc<Desk>>,
    origin: Origin,
    BookPath(book_id): BookPath,
) -> Result<Response, Problem> {
    let (last, book) = desk.last(book_id).await?;
    let qty = match last.event {
        BookEvent::Warehoused(event) => Some(event.qty),
        BookEvent::Renewed(_) | BookEvent::Corrected(_) | BookEvent::Skipped(_) => None,
    };
    with_place(&book, "application/hal+json", &Library::new(&href(&origin, book_id), qty, &book))
}

fn href(origin: &Origin, book_id: BookId) -> String {
    origin.href(format_args!("/libraries/{book_id}"))
}

/// The original's view of a command: what was asked for, and since then also what the book is now.
#[derive(Serialize)]
struct Library<'a> {
    #[serde(rename = "_links")]
    links: Links<'a>,
    qty: Option<Quantity>,
    #[serde(flatten)]
    book: &'a BookNow,
}

#[derive(Serialize)]
struct Links<'a> {
    library: Link<'a>,
    #[serde(rename = "self")]
    this: Link<'a>,
}

#[derive(Clone, Copy, Serialize)]
struct Link<'a> {
    href: &'a str,
}

impl<'a> Library<'a> {
    fn new(href: &'a str, qty: Option<Quantity>, book: &'a BookNow) -> Self {
        let link = Link { href };
        Self { links: Links { library: link, this: link }, qty, book }
    }
}
