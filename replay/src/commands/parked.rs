//! `replay parked`: streams that wait at an event that could not be applied: looked at, tried again, gone past.

use crate::fold::{self, Told};
use crate::log;
use crate::places::Places;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell, WrongUse};
use anyhow::{Context as _, bail, ensure};
use domain::book::{Book, BookEvent, BookId, Reason, Skip};
use domain::metadata::SCHEMA_VERSION;
use domain::{Decide as _, Evolve as _, Metadata, Persist as _, Timestamp};
use event_store::{ContentType, EventStore as _, Expected, NewEvent, Position, StoredEvent};
use read_model::database::Connection;
use read_model::parked;
use serde::Serialize;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a projector may take to try a stream again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is asked whether it has.
const POLL: Duration = Duration::from_millis(200);

/// Look after streams that wait at an event that could not be applied.
#[derive(Debug, clap::Args)]
pub(crate) struct Parked {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List all of them.
    List,
    /// Show where a book's stream waits, and the event there.
    Show {
        /// The book's number.
        #[arg(value_name = "BOOK")]
        book: BookId,
    },
    /// Let the projector try a book's stream again, or all that wait, and tell what came of it.
    Retry {
        /// The book's number.
        #[arg(value_name = "BOOK")]
        book: Option<BookId>,

        /// All streams that wait.
        #[arg(long, conflicts_with = "book")]
        all: bool,
    },
    /// Take the event that nobody can read out of a book's stream, by an event in that stream which says why.
    Skip {
        /// The book's number.
        #[arg(value_name = "BOOK")]
        book: BookId,

        /// Why the book is right without it, or as right as it gets.
        #[arg(long, value_name = "TEXT")]
        reason: Reason,

        /// Which event, by its revision in the stream: the first that cannot be read, if it is not said. Said, the same
        /// command can be run again and takes out no other.
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
}

#[derive(Serialize)]
struct All {
    parked: Vec<One>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One {
    generation: i32,
    book_id: BookId,
    stream: String,
    revision: u64,
    position: String,
    reason: String,
    later: u64,
    parked_at: Timestamp,
    retry: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    parked: Vec<One>,
    event: Option<Told<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Retried {
    stream: String,
    waits: bool,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Skipped {
    stream: String,
    skipped: u64,
    revision: u64,
    position: String,
    reason: Reason,
}

impl Parked {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        match self.what {
            What::List => list(places, tell).await,
            What::Show { book } => show(places, tell, book).await,
            What::Retry { book: Some(book), .. } => retry(places, tell, book).await,
            What::Retry { book: None, all: true } => retry_all(places, tell).await,
            What::Retry { book: None, all: false } => {
                Err(WrongUse).context("name a book, such as 1, or say --all for all streams that wait")
            }
            What::Skip { book, reason, revision } => skip(places, tell, book, reason, revision).await,
        }
    }
}

async fn connect(places: &Places) -> anyhow::Result<Connection> {
    Ok(places.database()?.connect("bookstock replay", "SET statement_timeout = '10s'").await?)
}

async fn all(connection: &Connection) -> anyhow::Result<Vec<One>> {
    Ok(parked::list(connection).await?.into_iter().map(One::from).collect())
}

async fn of_book(connection: &Connection, book: BookId) -> anyhow::Result<Vec<One>> {
    let mut parked = all(connection).await?;
    parked.retain(|one| one.book_id == book);
    Ok(parked)
}

async fn list(places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
    let all = All { parked: all(&connect(places).await?).await? };
    tell.document(&all, || {
        if all.parked.is_empty() { "no stream is parked".to_owned() } else { table(&all.parked).text() }
    })?;
    Ok(Outcome::Done)
}

async fn show(places: &Places, tell: Tell, book: BookId) -> anyhow::Result<Outcome> {
    let parked = of_book(&connect(places).await?, book).await?;
    let first = parked.first().with_context(|| format!("{} is not parked", book.stream()))?;
    let events = log::stream(&places.store()?, &book.stream()).await?;
    let event = events.iter().find(|event| event.revision == first.revision);
    let shown = Shown { event: event.map(Told::of), parked };
    tell.document(&shown, || {
        let event = shown.event.as_ref().map_or_else(
            || "the event store has no such event".to_owned(),
            |event| {
                format!(
                    "{} {}@{}\ndata      {}\nmetadata  {}",
                    event.event_type,
                    event.revision,
                    event.stream,
                    event.data.text(),
                    event.metadata.text()
                )
            },
        );
        format!("{}\n{event}", table(&shown.parked).text())
    })?;
    Ok(Outcome::Done)
}

async fn retry(places: &Places, tell: Tell, book: BookId) -> anyhow::Result<Outcome> {
    let connection = connect(places).await?;
    ensure!(parked::ask_retry(&connection, Some(book)).await? > 0, "{} is not parked", book.stream());
    let left = tried(&connection, Some(book)).await?;
    let retried = Retried {
        stream: book.stream(),
        waits: !left.is_empty(),
        reason: left.into_iter().next().map(|one| one.reason),
    };
    tell.document(&retried, || match &retried.reason {
        Some(reason) => format!("{} waits on: {reason}", retried.stream),
        None => format!("{} was folded anew and flows again", retried.stream),
    })?;
    Ok(if retried.waits { Outcome::Found } else { Outcome::Done })
}

async fn retry_all(places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
    let connection = connect(places).await?;
    parked::ask_retry(&connection, None).await?;
    let left = All { parked: tried(&connection, None).await? };
    tell.document(&left, || {
        if left.parked.is_empty() {
            "no stream is parked".to_owned()
        } else {
            format!("these wait on:\n\n{}", table(&left.parked).text())
        }
    })?;
    Ok(if left.parked.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// Waits until the projector has tried the stream of `book` again, or all; answers what waits on.
async fn tried(connection: &Connection, book: Option<BookId>) -> anyhow::Result<Vec<One>> {
    let (mut asked, mut before) = (Instant::now(), usize::MAX);
    loop {
        let mut left = all(connection).await?;
        left.retain(|one| book.is_none_or(|book| one.book_id == book));
        let to_try = left.iter().filter(|one| one.retry).count();
        if to_try == 0 {
            return Ok(left);
        }
        if to_try < before {
            (asked, before) = (Instant::now(), to_try);
        }
        if asked.elapsed() > PATIENCE {
            let what = book.map_or_else(|| format!("{to_try} of the streams"), BookId::stream);
            bail!(
                "no projector has tried {what} again within {} s: none is active, or the event store is away from it; that it is \
                 to be tried is kept, and the first that can does so",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Appends the event that takes an unreadable one out. The same again finds it done.
async fn skip(
    places: &Places,
    tell: Tell,
    book: BookId,
    reason: Reason,
    revision: Option<u64>,
) -> anyhow::Result<Outcome> {
    let store = places.store()?;
    let stream = book.stream();
    let events = log::stream(&store, &stream).await?;
    let skipped = fold::skipped(&events);
    let is_asked_for = |candidate| revision.is_none_or(|revision| revision == candidate);
    let unreadable = events.iter().find(|event| {
        is_asked_for(event.revision) && !skipped.contains(&event.revision) && fold::decode(event).is_err()
    });
    let (skipped, revision, position) = match unreadable {
        Some(unreadable) => {
            let last = events.last().map_or(0, |event| event.revision);
            let event = taking_out(book, unreadable, &events, &reason)?;
            let appended =
                store.append(&stream, Expected::Revision(last), vec![event]).await.with_context(|| {
                    let revision = unreadable.revision;
                    format!(
                        "{stream} may have been changed or not; run the same again, with --revision {revision}"
                    )
                })?;
            (unreadable.revision, appended.revision, appended.position)
        }
        None => done_before(book, &events, is_asked_for, &reason).with_context(|| match revision {
            Some(revision) if skipped.contains(&revision) => {
                format!("event {revision} of {stream} is taken out already, for another reason")
            }
            Some(revision) if events.iter().any(|event| event.revision == revision) => {
                format!("event {revision} of {stream} can be read, so it is not to be skipped")
            }
            Some(revision) => format!("{stream} has no event {revision}"),
            None => format!("every event of {stream} can be read, so there is nothing to skip"),
        })?,
    };
    let told = Skipped { stream, skipped, revision, position: position.to_string(), reason };
    tell.document(&told, || {
        format!(
            "event {} of {} is taken out, by event {} at position {}; the projector folds the book anew",
            told.skipped, told.stream, told.revision, told.position
        )
    })?;
    Ok(Outcome::Done)
}

/// The skip that this command appended before for this reason, if its answer was lost: what it took out, and where it is.
fn done_before(
    book: BookId,
    events: &[StoredEvent],
    is_asked_for: impl Fn(u64) -> bool,
    reason: &Reason,
) -> Option<(u64, u64, Position)> {
    events.iter().rev().find_map(|event| {
        let happened = fold::decode(event).ok()??.event;
        let skipped = happened.skips(event.revision).filter(|skipped| is_asked_for(*skipped))?;
        let is_it = matches!(&happened, BookEvent::Skipped(skip) if skip.reason == *reason);
        (is_it && event.id == id_of(book, skipped)).then_some((skipped, event.revision, event.position))
    })
}

/// What the skip of an event has for a key.
fn key_of(skipped: u64) -> String {
    format!("replay parked skip {skipped}")
}

/// The same skip has the same id, however often it is sent.
fn id_of(book: BookId, skipped: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}\n{}", book.stream(), key_of(skipped)).as_bytes())
}

fn taking_out(
    book_id: BookId,
    unreadable: &StoredEvent,
    events: &[StoredEvent],
    reason: &Reason,
) -> anyhow::Result<NewEvent> {
    let skipped = fold::skipped(events);
    let left = events.iter().filter(|event| !skipped.contains(&event.revision));
    let happenings = left.filter_map(|event| fold::decode(event).ok().flatten());
    let book = happenings.fold(Book::default(), |book, happening| book.evolve(&happening.event));
    let at = Timestamp::from_unix_micros(service_kit::clock::unix_micros())?;
    let command = Skip { book_id, revision: unreadable.revision, reason: reason.clone(), at };
    let Ok(decided) = command.decide(&book);
    let event = decided.into_iter().next().context("a skip is an event")?;
    let id = id_of(book_id, unreadable.revision);
    let metadata = Metadata {
        schema_version: SCHEMA_VERSION,
        after: book.evolve(&event).after(),
        idempotency_key: key_of(unreadable.revision),
        command_hash: String::new(),
        // Whoever runs this tool has no token, and a name is not to be kept.
        actor: None,
        more_in_append: 0,
        correlation_id: id.to_string(),
        causation_id: id.to_string(),
        traceparent: None,
    };
    let (event_type, data) = Book::encode(&event);
    Ok(NewEvent {
        id,
        event_type: event_type.to_owned(),
        content_type: ContentType::Json,
        data: data.into(),
        metadata: serde_json::to_vec(&metadata)?.into(),
    })
}

fn table(parked: &[One]) -> Table {
    let mut table =
        Table::new(&["generation>", "stream", "revision>", "position>", "later events>", "since", "reason"]);
    for one in parked {
        table.row([
            one.generation.to_string(),
            one.stream.clone(),
            one.revision.to_string(),
            one.position.clone(),
            count(one.later),
            one.parked_at.to_string(),
            one.reason.clone(),
        ]);
    }
    table
}

impl From<parked::Parked> for One {
    fn from(parked: parked::Parked) -> Self {
        Self {
            generation: parked.generation,
            book_id: parked.book_id,
            stream: parked.book_id.stream(),
            revision: parked.revision,
            position: parked.position.to_string(),
            reason: parked.reason,
            later: parked.later,
            parked_at: parked.parked_at,
            retry: parked.retry,
        }
    }
}
