//! 도서 이력: `GET /books/{bookId}/history`, every movement of a book and the book after it.

use super::as_of::AsOf;
use super::asked::part_of;
use super::consistency::Freshness;
use super::cursor;
use super::field::{Field, Kind};
use super::hal::Collection;
use super::inquiry::Inquiry;
use super::media::Media;
use super::parameters::Parameters;
use super::path::BookPath;
use super::rows::{self, Written};
use super::state::Shared;
use super::{paging, profile};
use crate::problem;
use axum::extract::State;
use axum::response::Response;
use read_model::book_history::{self, Row, Stretch};
use read_model::{Column, Key, Order, Reader};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use service_kit::{Origin, Problem, text};

/// The movements of a book as they are shown.
pub(super) struct Movements;

impl Written for Movements {
    type Row = Row;

    const ROW: &'static str = "Movement";
    const LIST: &'static str = "movements";
    const FIELDS: &'static [Field] = &[
        Field::new("bookId", "Which book.", Kind::BookId),
        Field::new("type", "What happened: Warehoused, Renewed, Corrected, or Skipped.", Kind::Movement),
        Field::new(
            "qty",
            "The copies that came in, the first run, or the difference; null for what was skipped.",
            Kind::Qty,
        ),
        Field::new("version", "The edition after it, an exact decimal.", Kind::Version),
        Field::new("stock", "The copies in stock after it.", Kind::Stock),
        Field::new("name", "What the book is called after it; null if nobody ever said.", Kind::Text),
        Field::new("reason", "Why, where somebody had to say; else null.", Kind::Text),
        Field::new(
            "actor",
            "Who did it, the subject of a token; null if nobody had to show one.",
            Kind::Text,
        ),
        Field::new(
            "correlationId",
            "What it has in common with all that followed from one request.",
            Kind::Text,
        ),
        Field::new("revision", "The number of its event in the book's own history, from 0.", Kind::Revision),
        Field::new(
            "position",
            "The place of that event among those of all books; later is larger.",
            Kind::Position,
        ),
        Field::new("occurredAt", "When it happened, in UTC.", Kind::Time),
    ];
    const LINKED: bool = false;

    fn json<'a>(row: &'a Row, _: Option<&'a Origin>) -> impl Serialize + 'a {
        Movement(row)
    }

    fn values(row: &Row) -> Vec<String> {
        vec![
            row.book_id.to_string(),
            row.movement.name().to_owned(),
            row.qty.map(|qty| qty.to_string()).unwrap_or_default(),
            row.version.to_string(),
            row.stock.to_string(),
            row.name.clone().map(String::from).unwrap_or_default(),
            row.reason.clone().map(String::from).unwrap_or_default(),
            row.actor.clone().unwrap_or_default(),
            row.correlation_id.clone().unwrap_or_default(),
            row.revision.to_string(),
            row.position.to_string(),
            row.occurred_at.to_string(),
        ]
    }
}

pub(super) async fn history(
    State(shared): State<Shared>,
    book: BookPath,
    inquiry: Inquiry,
) -> Result<Response, Problem> {
    answer(&shared.reader, &book, inquiry).await.map_err(|problem| shared.placed(problem))
}

async fn answer(reader: &Reader, book: &BookPath, mut inquiry: Inquiry) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    let as_of = AsOf::of(&mut inquiry.parameters)?;
    let order = order(&mut inquiry.parameters)?;
    let part = part_of(&mut inquiry.parameters, Column::Position)?;
    inquiry.parameters.refuse_others()?;
    let book_id = book.id()?;
    let after = match part.after {
        None => None,
        Some(mark) if mark.book_id != book_id => return Err(cursor::of_another_list()),
        Some(mark) => match mark.key {
            Key::Position(position) => Some(position),
            _ => return Err(cursor::of_another_list()),
        },
    };
    let stretch = Stretch { order, after, until: as_of.map(AsOf::moment), size: part.size };
    let freshness = as_of.map_or(freshness, |as_of| as_of.freshness(freshness));
    let found =
        freshness.read_of(book_id, reader, || book_history::of_book(reader, book_id, &stretch)).await?;
    if found.value.rows.is_empty() && after.is_none() {
        return Err(match as_of {
            None => problem::no_book_yet(book, found.position),
            Some(as_of) => problem::no_book_then(book, as_of, found.position),
        });
    }
    let path = format!("/books/{book_id}/history");
    if part.of_all && inquiry.media != Media::Hal {
        let all = freshness
            .read_of(book_id, reader, || book_history::whole_of_book(reader, book_id, &stretch))
            .await?;
        return rows::answer_all::<Movements, _>(&inquiry, &path, all);
    }
    if inquiry.media != Media::Hal {
        return rows::answer_some::<Movements, _>(&inquiry, &path, &found, &found.value.rows);
    }
    let Inquiry { origin, parameters, .. } = &inquiry;
    let mut links = paging::links_of_walk(found.value.next.as_ref(), origin, &path, parameters);
    links.add("book", origin.href(format_args!("/books/{book_id}")));
    links.add("profile", origin.href("/profile/history"));
    let shown = found.value.rows.iter().map(Movement).collect();
    let list = Collection::new(Movements::LIST, shown, links, paging::Part { size: part.size });
    inquiry.answer_list(&path, &found, &list)
}

/// The first movement first, unless it is to be the last one.
fn order(parameters: &mut Parameters) -> Result<Order, Problem> {
    match parameters.text("order")? {
        None | Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        Some(other) => {
            let reason = text!(
                en: "movements come in the order asc or desc, not {other:?}",
                ko: "순서는 asc 나 desc 입니다(받은 값: {other:?})"
            );
            Err(problem::invalid_parameter("order", &reason))
        }
    }
}

pub(super) async fn profile() -> Response {
    profile::alps("movement", "history", Movements::FIELDS, &profile::OF_HISTORY)
}

/// A movement on the wire.
struct Movement<'a>(&'a Row);

impl Serialize for Movement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(row) = self;
        let mut movement = serializer.serialize_struct("Movement", 12)?;
        movement.serialize_field("bookId", &row.book_id)?;
        movement.serialize_field("type", row.movement.name())?;
        movement.serialize_field("qty", &row.qty)?;
        movement.serialize_field("version", &row.version)?;
        movement.serialize_field("stock", &row.stock)?;
        movement.serialize_field("name", &row.name)?;
        movement.serialize_field("reason", &row.reason)?;
        movement.serialize_field("actor", &row.actor)?;
        movement.serialize_field("correlationId", &row.correlation_id)?;
        movement.serialize_field("revision", &row.revision)?;
        movement.serialize_field("position", &row.position.to_string())?;
        movement.serialize_field("occurredAt", &row.occurred_at)?;
        movement.end()
    }
}
