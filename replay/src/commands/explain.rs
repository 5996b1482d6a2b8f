//! `replay explain`: every event that made a row, with when, who, correlation, before and after.

use crate::fold::{self, Around, Json};
use crate::log;
use crate::places::Places;
use crate::table::Table;
use crate::tell::{Outcome, Tell};
use domain::Timestamp;
use domain::book::{After, Book, BookEvent, BookId, Reason};
use serde::Serialize;
use uuid::Uuid;

/// Tell every event that made a row: when, who, correlation, before and after.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    #[command(subcommand)]
    of: Of,
}

#[derive(Debug, clap::Subcommand)]
enum Of {
    /// The row of a book.
    Book {
        /// The book's number.
        #[arg(value_name = "N")]
        book: BookId,
    },
}

#[derive(Serialize)]
struct Explained<'a> {
    book: BookNow,
    events: Vec<Step<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BookNow {
    book_id: BookId,
    #[serde(flatten)]
    now: Option<After>,
    revision: u64,
    position: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step<'a> {
    revision: u64,
    position: String,
    id: Uuid,
    #[serde(rename = "type")]
    event_type: &'a str,
    occurred_at: Option<Timestamp>,
    actor: Option<String>,
    correlation_id: Option<String>,
    data: Json<'a>,
    before: Option<After>,
    after: Option<After>,
    /// For people; in the document it stands in the data.
    #[serde(skip)]
    reason: Option<Reason>,
    /// Why the event changed nothing: it cannot be read, or was taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<String>,
}

impl Explain {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let Of::Book { book: book_id } = self.of;
        let events = log::stream(&places.store()?, &book_id.stream()).await?;
        let skipped = fold::skipped(&events);
        let mut book = Book::default();
        let mut before = None;
        let mut steps = Vec::with_capacity(events.len());
        let mut outcome = Outcome::Done;
        for event in &events {
            let around = Around::of(event);
            let mut reason = None;
            let (occurred_at, after, unread) = match fold::decode(event) {
                _ if skipped.contains(&event.revision) => {
                    (None, before.clone(), Some("it was taken out by a later event".to_owned()))
                }
                Ok(Some(told)) => {
                    reason = reason_of(&told.event).cloned();
                    (Some(told.event.occurred_at()), fold::evolve(&mut book, &told.event), None)
                }
                Ok(None) => (None, before.clone(), None),
                Err(reason) => {
                    outcome = Outcome::Found;
                    (None, before.clone(), Some(reason.to_string()))
                }
            };
            steps.push(Step {
                revision: event.revision,
                position: event.position.to_string(),
                id: event.id,
                event_type: &event.event_type,
                occurred_at,
                actor: around.actor,
                correlation_id: around.correlation_id,
                data: Json::of(&event.data),
                before: std::mem::replace(&mut before, after.clone()),
                after,
                reason,
                unread,
            });
        }
        let last = steps.last();
        let (revision, position) =
            last.map_or((0, String::new()), |step| (step.revision, step.position.clone()));
        let explained =
            Explained { book: BookNow { book_id, now: before, revision, position }, events: steps };
        tell.document(&explained, || explained.text())?;
        Ok(outcome)
    }
}

impl Explained<'_> {
    fn text(&self) -> String {
        let mut table = Table::new(&[
            "revision>",
            "when",
            "what",
            "who",
            "before",
            "after",
            "correlation",
            "position>",
            // The last one, as it may be longer than a terminal is wide.
            "why",
        ]);
        for step in &self.events {
            table.row([
                step.revision.to_string(),
                step.occurred_at.map(|at| at.to_string()).unwrap_or_default(),
                step.event_type.to_owned(),
                step.actor.clone().unwrap_or_else(|| "-".to_owned()),
                shown(step.before.as_ref()),
                shown(step.after.as_ref()),
                step.correlation_id.clone().unwrap_or_else(|| "-".to_owned()),
                step.position.clone(),
                step.why(),
            ]);
        }
        let name = self.book.now.as_ref().and_then(|now| now.name.as_ref()).map(|name| name.as_str());
        format!("book {} {}\n\n{}", self.book.book_id, name.unwrap_or_default(), table.text())
    }
}

impl Step<'_> {
    /// What is to be said of it besides: its reason, the title that it brought, or why it was left out.
    fn why(&self) -> String {
        let title = |book: &Option<After>| book.as_ref().and_then(|book| book.name.clone());
        let (before, after) = (title(&self.before), title(&self.after));
        match (&self.unread, &self.reason, after.filter(|_| before != title(&self.after))) {
            (Some(why), ..) => format!("left out: {why}"),
            (None, Some(reason), _) => reason.as_str().to_owned(),
            (None, None, Some(title)) => format!("title: {}", title.as_str()),
            (None, None, None) => "-".to_owned(),
        }
    }
}

fn reason_of(event: &BookEvent) -> Option<&Reason> {
    match event {
        BookEvent::Corrected(event) => Some(&event.reason),
        BookEvent::Skipped(event) => Some(&event.reason),
        BookEvent::Warehoused(_) | BookEvent::Renewed(_) => None,
    }
}

/// Stock and edition, such as `130 (1.0)`.
fn shown(after: Option<&After>) -> String {
    after.map_or_else(|| "-".to_owned(), |after| format!("{} ({})", after.stock, after.version))
}
