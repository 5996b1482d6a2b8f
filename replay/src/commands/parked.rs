//! `replay parked`: streams that wait at an event that could not be applied: looked at, tried again, gone past.

mod skip;

use crate::fold::Told;
use crate::patience::patiently;
use crate::places::Places;
use crate::table::{Table, count};
use crate::tell::{Outcome, Tell, WrongUse};
use anyhow::{Context as _, bail};
use domain::Timestamp;
use domain::book::{BookId, Reason};
use event_store::EventStore as _;
use read_model::DatabaseError;
use read_model::database::Connection;
use read_model::parked;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

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
    /// Whether a projector writes that generation, so that the stream can be tried again there.
    written: bool,
}

/// A generation, and whose stream waits in it.
type Place = (i32, BookId);

impl One {
    fn place(&self) -> Place {
        (self.generation, self.book_id)
    }
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
    untried: BTreeSet<i32>,
}

/// What came of a retry.
#[derive(Serialize)]
struct Tried {
    /// What was tried, and waits on.
    parked: Vec<One>,
    /// The generations in which not all was tried.
    untried: BTreeSet<i32>,
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
            What::Skip { book, reason, revision } => skip::skip(places, tell, book, reason, revision).await,
        }
    }
}

async fn connect(places: &Places) -> anyhow::Result<Connection> {
    // Whoever waits for one of many streams keeps the others from their projectors.
    let settings = "SET lock_timeout = '500ms'; SET statement_timeout = '2s'";
    Ok(places.database()?.connect("bookstock replay", settings).await?)
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
    // By its place in the log: there it can be read as long as it is there, also if its stream is deleted.
    let found = places.store()?.read_at(first.position.parse()?).await?;
    let event = found.filter(|event| (&event.stream, event.revision) == (&first.stream, first.revision));
    let shown = Shown { event: event.as_ref().map(Told::of), parked };
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
    let (connection, stream) = (connect(places).await?, book.stream());
    let before = of_book(&connection, book).await?;
    // Where it was written it may have been folded anew just now.
    if ask(&connection, Some(book)).await? == 0 && !before.iter().any(|one| one.written) {
        match before.first() {
            None => bail!("{stream} is not parked"),
            Some(One { generation, .. }) => bail!(
                "{stream} is parked only in generation {generation}, which no projector writes: it stays as it is; \
                 `replay generations --drop {generation}` drops it"
            ),
        }
    }
    let Tried { parked, untried } = tried(&connection, Some(book), &before).await?;
    let waits = !parked.is_empty();
    let reason = parked.into_iter().next().map(|one| one.reason);
    let retried = Retried { stream, waits, reason, untried };
    tell.document(&retried, || {
        let stream = &retried.stream;
        let came = match &retried.reason {
            Some(reason) => format!("{stream} waits on: {reason}"),
            None => format!("{stream} was folded anew and flows again"),
        };
        came + &but_untried(&retried.untried)
    })?;
    Ok(if retried.waits || !retried.untried.is_empty() { Outcome::Found } else { Outcome::Done })
}

async fn retry_all(places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
    let connection = connect(places).await?;
    let before = all(&connection).await?;
    ask(&connection, None).await?;
    let tried = tried(&connection, None, &before).await?;
    tell.document(&tried, || {
        let left = if tried.parked.is_empty() {
            "no stream that was tried waits on".to_owned()
        } else {
            format!("these wait on:\n\n{}", table(&tried.parked).text())
        };
        left + &but_untried(&tried.untried)
    })?;
    let all_flow = tried.parked.is_empty() && tried.untried.is_empty();
    Ok(if all_flow { Outcome::Done } else { Outcome::Found })
}

/// Asks for it. Answers how many wait.
async fn ask(connection: &Connection, book: Option<BookId>) -> anyhow::Result<u64> {
    patiently(async || parked::ask_retry(connection, book).await, DatabaseError::is_contention).await
}

/// Waits until the projector has tried the stream of `book` again, or all, wherever it writes, or in some generations at
/// least: another that is kept beside them may be of another event store, and its projector halted. `before` is what waited
/// before that was asked for.
async fn tried(connection: &Connection, book: Option<BookId>, before: &[One]) -> anyhow::Result<Tried> {
    let mut left = written(connection, book).await?;
    let asked: BTreeSet<Place> =
        before.iter().filter(|one| one.written).chain(&left).map(One::place).collect();
    let (mut to_try, mut progress) = (asked.clone(), Instant::now());
    loop {
        // What was tried once stays so, though it may be marked again: by another event of it, or by the next projector.
        let marked = left.iter().filter(|one| one.retry).map(One::place).collect();
        let still = &to_try & &marked;
        if still.len() < to_try.len() {
            progress = Instant::now();
        }
        to_try = still;
        let late = progress.elapsed() > PATIENCE;
        if to_try.is_empty() || late {
            let untried = generations(&to_try);
            if late && generations(&asked).is_subset(&untried) {
                let what = book.map_or_else(|| format!("{} of the streams", to_try.len()), BookId::stream);
                bail!(
                    "no projector has tried {what} again within {} s: none is active, or the event store is away from it; that \
                     it is to be tried is kept, and the first that can does so",
                    PATIENCE.as_secs()
                );
            }
            left.retain(|one| asked.contains(&one.place()) && !to_try.contains(&one.place()));
            return Ok(Tried { parked: left, untried });
        }
        tokio::time::sleep(POLL).await;
        left = written(connection, book).await?;
    }
}

/// What waits where a projector writes, of a book or of all.
async fn written(connection: &Connection, book: Option<BookId>) -> anyhow::Result<Vec<One>> {
    let mut parked = all(connection).await?;
    parked.retain(|one| one.written && book.is_none_or(|book| one.book_id == book));
    Ok(parked)
}

fn generations(places: &BTreeSet<Place>) -> BTreeSet<i32> {
    places.iter().map(|(generation, _)| *generation).collect()
}

/// In which generations nobody tried.
fn but_untried(generations: &BTreeSet<i32>) -> String {
    if generations.is_empty() {
        return String::new();
    }
    let generations = generations.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "\nnot tried in generation {generations} within {} s: its projector is late, or has halted and says why in its log; \
         `replay generations --drop` drops one that does not serve and that nobody needs",
        PATIENCE.as_secs()
    )
}

fn table(parked: &[One]) -> Table {
    let mut table = Table::new(&[
        "generation>",
        "",
        "stream",
        "revision>",
        "position>",
        "later events>",
        "since",
        "reason",
    ]);
    for one in parked {
        table.row([
            one.generation.to_string(),
            if one.written { String::new() } else { "not written".to_owned() },
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
            written: parked.written,
        }
    }
}
