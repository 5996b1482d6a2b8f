//! Commands over gRPC: the service `bookstock.v1.Books`, beside it health and reflection. A call is the same command as over
//! HTTP, and a problem is told as a status with details.

mod endless;
mod health;
mod message;
mod protocol;
mod status;

use super::book_now::BookNow;
use super::desk::{Desk, now};
use super::explain::{Explain, shortened};
use super::problem::invalid;
use crate::intention::{Intention, Precondition};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::from_fn;
use axum::routing::post_service;
use domain::book::{Correct, Renew, Warehouse};
use protocol::books_server::{self, BooksServer};
use protocol::{Book, Booked, CorrectRequest, GetBookRequest, RenewRequest, WarehouseRequest};
use service_kit::edge::{Calls, Due};
use service_kit::{Health, Language, Problem};
use std::str::FromStr;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The largest message of a stream; those of commands are bounded by the edge, as over HTTP.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// All calls for commands, and beside them how `health` stands.
pub(crate) fn calls(desk: Arc<Desk>, health: Health) -> Result<Calls, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(protocol::DEFINITIONS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let beside = tonic::service::Routes::new(health::service(health))
        .add_service(reflection().build_v1()?.max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MESSAGE_LIMIT));
    let books = BooksServer::new(Books(desk));
    // Each method is a route of its own, so that each is measured.
    let path = |method| format!("/{}/{method}", books_server::SERVICE_NAME);
    let method = || post_service(books.clone());
    let router = endless::bounded(beside.into_axum_router())
        .route(&path("Warehouse"), method().layer(from_fn(message::readable::<WarehouseRequest>)))
        .route(&path("Renew"), method().layer(from_fn(message::readable::<RenewRequest>)))
        .route(&path("Correct"), method().layer(from_fn(message::readable::<CorrectRequest>)))
        .route(&path("GetBook"), method().layer(from_fn(message::readable::<GetBookRequest>)));
    Ok(Calls { router, tell: status::tell })
}

/// The service.
struct Books(Arc<Desk>);

#[tonic::async_trait]
impl books_server::Books for Books {
    async fn warehouse(&self, request: Request<WarehouseRequest>) -> Result<Response<Booked>, Status> {
        answer(request, async |request, headers, extensions| {
            let book_id = read("bookId", request.book_id)?;
            let command = Warehouse {
                book_id,
                qty: read("qty", request.qty)?,
                version: read_if_given("version", request.version)?,
                name: read_if_given("name", request.name)?,
                default_name: self.0.default_name.clone(),
                at: now(),
            };
            let intention = intention(headers, extensions, request.expected_revision)?;
            self.0.run(book_id, command, &intention, due(extensions)).await.map(Booked::from)
        })
        .await
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Booked>, Status> {
        answer(request, async |request, headers, extensions| {
            let book_id = read("bookId", request.book_id)?;
            let command = Renew { book_id, version: read_if_given("version", request.version)?, at: now() };
            let intention = intention(headers, extensions, request.expected_revision)?;
            self.0.run(book_id, command, &intention, due(extensions)).await.map(Booked::from)
        })
        .await
    }

    async fn correct(&self, request: Request<CorrectRequest>) -> Result<Response<Booked>, Status> {
        answer(request, async |request, headers, extensions| {
            let book_id = read("bookId", request.book_id)?;
            let command = Correct {
                book_id,
                qty_delta: read("qtyDelta", request.qty_delta)?,
                reason: read("reason", request.reason)?,
                at: now(),
            };
            let intention = intention(headers, extensions, request.expected_revision)?;
            self.0.run(book_id, command, &intention, due(extensions)).await.map(Booked::from)
        })
        .await
    }

    async fn get_book(&self, request: Request<GetBookRequest>) -> Result<Response<Book>, Status> {
        answer(request, async |request, _, _| {
            let (_, book) = self.0.last(read("bookId", request.book_id)?).await?;
            Ok(Book::from(book))
        })
        .await
    }
}

/// What `work` makes of a call's message; a problem becomes a status in the caller's language.
async fn answer<M, T>(
    request: Request<M>,
    work: impl AsyncFnOnce(M, &HeaderMap, &Extensions) -> Result<T, Problem>,
) -> Result<Response<T>, Status> {
    let (metadata, extensions, message) = request.into_parts();
    let headers = metadata.into_headers();
    let answer = work(message, &headers, &extensions).await;
    answer.map(Response::new).map_err(|problem| status::of(&problem, Language::of(&headers)))
}

/// Until when the caller has to be answered: one who waits for less time than a command may take learns its key all the same.
fn due(extensions: &Extensions) -> Option<Due> {
    extensions.get().copied()
}

fn intention(
    headers: &HeaderMap,
    extensions: &Extensions,
    expected_revision: Option<u64>,
) -> Result<Intention, Problem> {
    let mut intention = Intention::of(headers, extensions)?;
    intention.preconditions.extend(expected_revision.map(Precondition::At));
    Ok(intention)
}

/// A field's value, by the rules of the domain.
fn read<T: FromStr<Err: Explain>>(name: &str, given: impl ToString) -> Result<T, Problem> {
    let text = given.to_string();
    text.parse().map_err(|error: T::Err| invalid(name, &error.explain(&shortened(&text))))
}

fn read_if_given<T: FromStr<Err: Explain>>(name: &str, given: Option<String>) -> Result<Option<T>, Problem> {
    given.map(|text| read(name, text)).transpose()
}

impl From<BookNow> for Booked {
    fn from(book: BookNow) -> Self {
        Self { replayed: book.repeated, book: Some(book.into()) }
    }
}

impl From<BookNow> for Book {
    fn from(book: BookNow) -> Self {
        Self {
            book_id: book.book_id.get(),
            name: book.name.map(|name| name.as_str().to_owned()),
            version: book.version.to_string(),
            stock: book.stock.into(),
            revision: book.revision,
            position: book.position.to_string(),
        }
    }
}
