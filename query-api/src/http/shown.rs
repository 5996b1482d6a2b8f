//! A view over HTTP: what is the same for all of them.

use super::asked::{Asked, Sortable};
use super::consistency::Freshness;
use super::etag::ETag;
use super::hal::Collection;
use super::inquiry::Inquiry;
use super::media::Media;
use super::paging::{self, PageNumbers};
use super::path::BookPath;
use super::rows;
use super::state::Shared;
use crate::problem;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use read_model::{At, BookId, ListRequest, Page, Reader, ReaderError, Rows};
use serde::Serialize;
use service_kit::{Origin, Problem};

/// A view as it is shown.
pub(super) trait Shown: Send + Sync + 'static {
    /// A row of the view.
    type Row: Clone + Send + Sync + 'static;

    /// Where it is, with a slash before it.
    const PATH: &'static str;
    /// What its list is called.
    const LIST: &'static str;
    /// Where its fields are described.
    const PROFILE: &'static str;
    /// What its list can be sorted by.
    const SORTABLE: &'static Sortable;
    /// The names of the fields that rows have in every form, in their order.
    const FIELDS: &'static [&'static str];

    /// The row of a book.
    fn one(
        reader: &Reader,
        book: BookId,
    ) -> impl Future<Output = Result<At<Option<Self::Row>>, ReaderError>> + Send;

    /// A part of the list.
    fn list(
        reader: &Reader,
        request: &ListRequest,
    ) -> impl Future<Output = Result<At<Page<Self::Row>>, ReaderError>> + Send;

    /// The whole list.
    fn whole(
        reader: &Reader,
        request: &ListRequest,
    ) -> impl Future<Output = Result<At<Rows<Self::Row>>, ReaderError>> + Send;

    /// The revision of a row.
    fn revision(row: &Self::Row) -> u64;

    /// A row as JSON: with links for a client who came in at `origin`, if there is one.
    fn json<'a>(row: &'a Self::Row, origin: Option<&'a Origin>) -> impl Serialize + 'a;

    /// The values of [`Shown::FIELDS`].
    fn values(row: &Self::Row) -> Vec<String>;
}

/// `GET` of one row.
pub(super) async fn one<V: Shown>(
    State(shared): State<Shared>,
    book: BookPath,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    inquiry.parameters.refuse_others()?;
    let book_id = book.id()?;
    let reader = &shared.reader;
    let found = freshness.read(reader, || V::one(reader, book_id)).await?;
    let row = found.value.as_ref().ok_or_else(|| problem::no_book_yet(&book, found.position))?;
    let etag = ETag::of_row(V::revision(row), found.generation);
    inquiry.answer(&found, &etag, &V::json(row, Some(&inquiry.origin)))
}

/// `GET` of the list.
pub(super) async fn list<V: Shown>(
    State(shared): State<Shared>,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    let Asked { request, of_all } = Asked::of(&mut inquiry.parameters, V::SORTABLE)?;
    inquiry.parameters.refuse_others()?;
    let reader = &shared.reader;
    let mut response = if of_all && inquiry.media != Media::Hal {
        let found = freshness.read(reader, || V::whole(reader, &request)).await?;
        let etag = etag::<V, _>(&inquiry, &found);
        let (standing, rows) = found.split();
        inquiry.answer_as(&standing, &etag, inquiry.media.content_type(), || {
            Ok(rows::streamed::<V>(inquiry.media, rows))
        })?
    } else {
        let found = freshness.read(reader, || V::list(reader, &request)).await?;
        let etag = etag::<V, _>(&inquiry, &found);
        if inquiry.media == Media::Hal {
            hal::<V>(&inquiry, &request, &found, &etag)?
        } else {
            inquiry.answer_as(&found, &etag, inquiry.media.content_type(), || {
                rows::written::<V>(inquiry.media, &found.value.rows)
            })?
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn etag<V: Shown, T>(inquiry: &Inquiry, found: &At<T>) -> ETag {
    let query = format!("{}{}{}", inquiry.media.content_type(), V::PATH, inquiry.parameters.query());
    ETag::of_list(&query, found.generation, found.position)
}

fn hal<V: Shown>(
    inquiry: &Inquiry,
    request: &ListRequest,
    found: &At<Page<V::Row>>,
    etag: &ETag,
) -> Result<Response, Problem> {
    let Inquiry { origin, parameters, .. } = inquiry;
    let rows = || found.value.rows.iter().map(|row| V::json(row, Some(origin))).collect::<Vec<_>>();
    let profile = ("profile", origin.href(V::PROFILE));
    match (found.value.total, &request.place) {
        (Some(total), read_model::Place::Page(number)) => {
            let numbers = PageNumbers::new(*number, request.size, total);
            let mut links = numbers.links(origin, V::PATH, parameters);
            links.add(profile.0, profile.1);
            inquiry.answer(found, etag, &Collection::new(V::LIST, rows(), links, numbers))
        }
        _ => {
            let mut links = paging::links_of_walk(found.value.next.as_ref(), origin, V::PATH, parameters);
            links.add(profile.0, profile.1);
            let size = paging::Part { size: request.size };
            inquiry.answer(found, etag, &Collection::new(V::LIST, rows(), links, size))
        }
    }
}
