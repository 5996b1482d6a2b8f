//! A view over HTTP: what is the same for all of them.

use super::as_of::AsOf;
use super::asked::{Asked, Sortable};
use super::consistency::Freshness;
use super::etag::ETag;
use super::hal::{self, Collection};
use super::inquiry::Inquiry;
use super::media::Media;
use super::paging::{self, PageNumbers};
use super::path::BookPath;
use super::rows::{self, Written};
use super::state::{Common, Shared};
use crate::problem;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use read_model::book_history::Row as Movement;
use read_model::{At, BookId, ListRequest, Page, Reader, ReaderError, Rows};
use service_kit::Problem;

/// A view as it is shown.
pub(super) trait Shown: Written<Row: From<Movement>> {
    /// Where it is, with a slash before it.
    const PATH: &'static str;
    /// Where its fields are described.
    const PROFILE: &'static str;
    /// What its list can be sorted by.
    const SORTABLE: &'static Sortable;

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
}

/// `GET` of one row.
pub(super) async fn one<V: Shown>(
    State(shared): State<Shared>,
    book: BookPath,
    inquiry: Inquiry,
) -> Result<Response, Problem> {
    answer_one::<V>(&shared, &book, inquiry).await.map_err(|problem| shared.placed(problem))
}

async fn answer_one<V: Shown>(
    shared: &Common,
    book: &BookPath,
    mut inquiry: Inquiry,
) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    let as_of = AsOf::of(&mut inquiry.parameters)?;
    inquiry.parameters.refuse_others()?;
    let book_id = book.id()?;
    let reader = &shared.reader;
    let found = match as_of {
        None => freshness.read_of(book_id, reader, || V::one(reader, book_id)).await?,
        Some(as_of) => as_of.one::<V>(reader, freshness, book_id).await?,
    };
    let row = found.value.as_ref().ok_or_else(|| match as_of {
        None => problem::no_book_yet(book, found.position),
        Some(as_of) => problem::no_book_then(book, as_of, found.position),
    })?;
    let etag = ETag::of_row(V::revision(row), found.generation);
    inquiry.answer(&found, &etag, &V::json(row, Some(&inquiry.origin)))
}

/// `GET` of the list.
pub(super) async fn list<V: Shown>(
    State(shared): State<Shared>,
    inquiry: Inquiry,
) -> Result<Response, Problem> {
    answer_list::<V>(&shared, inquiry).await.map_err(|problem| shared.placed(problem))
}

async fn answer_list<V: Shown>(shared: &Common, mut inquiry: Inquiry) -> Result<Response, Problem> {
    let freshness = Freshness::of(&mut inquiry.parameters)?;
    if let Some(as_of) = AsOf::of(&mut inquiry.parameters)? {
        return as_of.list::<V>(&shared.reader, freshness, inquiry).await;
    }
    let Asked { request, of_all } = Asked::of(&mut inquiry.parameters, V::SORTABLE)?;
    inquiry.parameters.refuse_others()?;
    let reader = &shared.reader;
    if of_all && inquiry.media != Media::Hal {
        let found = freshness.read(reader, || V::whole(reader, &request)).await?;
        return rows::answer_all::<V, V::Row>(&inquiry, V::PATH, found);
    }
    let question = inquiry.question(V::PATH);
    let kept = shared.kept.get(&question, reader).await;
    let document = match kept.filter(|kept| freshness.is_met_at(kept.position)) {
        Some(document) => document,
        None => {
            let (at, page) = freshness.read(reader, || V::list(reader, &request)).await?.split();
            let document = match inquiry.media {
                Media::Hal => document::<V>(&inquiry, &request, &page)?,
                Media::Csv | Media::NdJson => rows::written::<V>(inquiry.media, &page.rows)?,
            };
            let document = at.map(|()| Bytes::from(document));
            shared.kept.put(question, &document).await;
            document
        }
    };
    inquiry.answer_rows(V::PATH, &document, || Ok(document.value.clone().into()))
}

fn document<V: Shown>(
    inquiry: &Inquiry,
    request: &ListRequest,
    page: &Page<V::Row>,
) -> Result<Vec<u8>, Problem> {
    let Inquiry { origin, parameters, .. } = inquiry;
    let rows = || page.rows.iter().map(|row| V::json(row, Some(origin))).collect::<Vec<_>>();
    let profile = origin.href(V::PROFILE);
    match (page.total, &request.place) {
        (Some(total), read_model::Place::Page(number)) => {
            let numbers = PageNumbers::new(*number, request.size, total);
            let mut links = numbers.links(origin, V::PATH, parameters);
            links.add("profile", profile);
            hal::document(&Collection::new(V::LIST, rows(), links, numbers))
        }
        _ => {
            let mut links = paging::links_of_walk(page.next.as_ref(), origin, V::PATH, parameters);
            links.add("profile", profile);
            let size = paging::Part { size: request.size };
            hal::document(&Collection::new(V::LIST, rows(), links, size))
        }
    }
}
