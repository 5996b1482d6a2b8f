//! What differs between the read models that serve and the log, and which event explains it.

use crate::build::Build;
use crate::fold;
use crate::log;
use crate::progress::Phase;
use crate::table::{Table, count};
use domain::Timestamp;
use domain::book::{After, Book, BookId};
use event_store::{EventStore as _, Kurrent, Position, StoredEvent};
use read_model::parity::{Among, Cell, Difference, STREAMS, Snapshot};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What all tables of a generation were found to be.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Compared {
    /// Where both stood.
    position: String,
    /// Table by table.
    views: Vec<ViewCompared>,
    /// Rows that differ; all are counted, the first of them are told.
    drift: Vec<Drift>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ViewCompared {
    view: String,
    rows: u64,
    differing: u64,
    /// Columns that only one side has, or the whole view.
    not_compared: Vec<String>,
}

/// A row that is not what the log says.
#[derive(Debug, Serialize)]
struct Drift {
    view: String,
    key: BTreeMap<String, i64>,
    kind: Kind,
    cells: Vec<CellDrift>,
    event: Option<Explaining>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// Some of its cells.
    Differs,
    /// The row is not there.
    Missing,
    /// No event made the row.
    Extra,
}

#[derive(Debug, Serialize)]
struct CellDrift {
    column: String,
    found: Option<String>,
    expected: Option<String>,
}

/// The event that says what the row should be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explaining {
    stream: String,
    revision: u64,
    position: String,
    id: Uuid,
    #[serde(rename = "type")]
    event_type: String,
    occurred_at: Option<Timestamp>,
    why: &'static str,
}

impl Compared {
    /// Compares the tables `views` of the snapshot with those that were built up to the same position.
    pub(crate) async fn of(
        snapshot: &Snapshot,
        build: &Build,
        store: &Kurrent,
        views: &[&str],
        among: Among<'_>,
        most: usize,
    ) -> anyhow::Result<Self> {
        let position = snapshot.checkpoint.position;
        let mut compared = Self { position: position.to_string(), ..Self::default() };
        for view in views {
            let _shown = Phase::start(format!("comparing {view}"));
            let mut differences = Vec::new();
            let most = most.saturating_sub(compared.drift.len());
            let (generation, found) = (build.lease.generation, |difference| differences.push(difference));
            let rows = snapshot.compare(&build.connection, generation, view, among, most, found).await?;
            compared.views.push(ViewCompared {
                view: (*view).to_owned(),
                rows: rows.rows,
                differing: rows.differing,
                not_compared: rows.not_compared,
            });
            for difference in differences {
                let event = explain(store, &difference, position).await?;
                compared.drift.push(Drift::of(view, difference, event));
            }
        }
        Ok(compared)
    }

    /// The rows that differ.
    pub(crate) fn differing(&self) -> u64 {
        self.views.iter().map(|view| view.differing).sum()
    }

    /// What only one side has: columns, and whole views.
    pub(crate) fn not_compared(&self) -> Vec<String> {
        let of_view = |view: &ViewCompared| {
            let name = view.view.clone();
            let columns = view.not_compared.clone().into_iter();
            columns.map(move |column| if column == name { column } else { format!("{name}.{column}") })
        };
        self.views.iter().flat_map(of_view).collect()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut views = Table::new(&["view", "rows>", "differing>", "not compared"]);
        for view in &self.views {
            let not_compared = view.not_compared.join(", ");
            views.row([view.view.clone(), count(view.rows), count(view.differing), not_compared]);
        }
        let mut text = format!("compared at position {}\n\n{}", self.position, views.text());
        if self.drift.is_empty() {
            return text;
        }
        let mut drift = Table::new(&["view", "row", "column", "found", "by the log", "explained by"]);
        for row in &self.drift {
            for (index, cell) in row.cells.iter().enumerate() {
                let first = |text: String| if index == 0 { text } else { String::new() };
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
                drift.row([
                    first(row.view.clone()),
                    first(
                        row.key
                            .iter()
                            .map(|(column, value)| format!("{column} {value}"))
                            .collect::<Vec<_>>()
                            .join(", "),
                    ),
                    cell.column.clone(),
                    shown(&cell.found),
                    shown(&cell.expected),
                    first(row.explained()),
                ]);
            }
        }
        text.push_str(&format!("\n{}", drift.text()));
        let told = self.drift.len() as u64;
        if told < self.differing() {
            text.push_str(&format!("and {} more rows\n", count(self.differing() - told)));
        }
        text
    }
}

/// The tables of a generation: those of the views, or of one of them, and what the engine keeps of the streams.
pub(crate) fn tables(view: Option<&str>) -> Vec<&str> {
    match view {
        Some(view) => vec![view],
        None => projector::VIEWS.iter().map(|view| view.name()).chain([STREAMS]).collect(),
    }
}

impl Drift {
    fn of(view: &str, difference: Difference, event: Option<Explaining>) -> Self {
        let kind = match (difference.in_snapshot, difference.in_other) {
            (true, false) => Kind::Extra,
            (false, true) => Kind::Missing,
            _ => Kind::Differs,
        };
        let cell = |Cell { column, snapshot, other }| CellDrift { column, found: snapshot, expected: other };
        Self {
            view: view.to_owned(),
            key: difference.key.into_iter().collect(),
            kind,
            cells: difference.cells.into_iter().map(cell).collect(),
            event,
        }
    }

    fn explained(&self) -> String {
        match &self.event {
            Some(Explaining { stream, revision, position, event_type, why, .. }) => {
                format!("{event_type} {revision}@{stream}, position {position}: {why}")
            }
            None if self.kind == Kind::Extra => "no event of the log made this row".to_owned(),
            None => "its stream does not tell its events any more".to_owned(),
        }
    }
}

/// Finds the event that says what the row should be.
async fn explain(
    store: &Kurrent,
    difference: &Difference,
    position: u64,
) -> anyhow::Result<Option<Explaining>> {
    if !difference.in_other {
        return Ok(None);
    }
    let of_key = |name: &str| {
        let found = difference.key.iter().find(|(column, _)| column == name);
        found.and_then(|(_, value)| u64::try_from(*value).ok())
    };
    if let Some(at) = of_key("position") {
        let event = store.read_at(Position(at)).await?;
        return Ok(event.map(|event| Explaining::of(&event, "it made this row")));
    }
    let Some(book) = of_key("book_id").and_then(|number| BookId::try_from(number).ok()) else {
        return Ok(None);
    };
    let stream = book.stream();
    let mut events = log::what_is_left(store, &stream).await?;
    events.retain(|event| event.position.0 <= position);
    Ok(choose(&events, difference).map(|(event, why)| Explaining::of(event, why)))
}

impl Explaining {
    fn of(event: &StoredEvent, why: &'static str) -> Self {
        let occurred_at = fold::decode(event).ok().flatten().map(|happening| happening.event.occurred_at());
        Self {
            stream: event.stream.clone(),
            revision: event.revision,
            position: event.position.to_string(),
            id: event.id,
            event_type: event.event_type.clone(),
            occurred_at,
            why,
        }
    }
}

/// Of the events of a book, the one that explains how its row should be. One that was taken out explains nothing.
fn choose<'a>(events: &'a [StoredEvent], difference: &Difference) -> Option<(&'a StoredEvent, &'static str)> {
    let skipped = fold::skipped(events);
    let left = || events.iter().filter(|event| !skipped.contains(&event.revision));
    let revision = difference.cells.iter().find(|cell| cell.column == "revision");
    let found = revision.and_then(|cell| cell.snapshot.as_ref()?.parse::<u64>().ok());
    if let (Some(found), true) = (found, difference.in_snapshot)
        && let Some(event) = left().find(|event| event.revision > found)
    {
        return Some((event, "the row lacks it"));
    }
    let mut book = Book::default();
    let mut before: Option<After> = None;
    let mut changed = left().last().map(|event| (event, "it is the last one in the row"));
    for event in left() {
        let Ok(Some(happening)) = fold::decode(event) else { continue };
        let after = fold::evolve(&mut book, &happening.event);
        let changes = difference.cells.iter().any(|cell| match cell.column.trim_start_matches("book_") {
            "stock" => before.as_ref().map(|one| one.stock) != after.as_ref().map(|one| one.stock),
            "version" => before.as_ref().map(|one| one.version) != after.as_ref().map(|one| one.version),
            "name" | "search" => before.as_ref().map(|one| &one.name) != after.as_ref().map(|one| &one.name),
            _ => false,
        });
        if changes {
            changed = Some((event, "it changed that last"));
        }
        before = after;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::book::{BookEvent, Skipped, Warehoused};
    use event_store::ContentType;

    #[test]
    fn an_event_that_was_taken_out_explains_nothing() {
        let (book_id, occurred_at) = (BookId::try_from(1).unwrap(), Timestamp::default());
        let warehoused = |qty: u64| {
            BookEvent::Warehoused(Warehoused {
                book_id,
                qty: qty.try_into().unwrap(),
                version: "1.0".parse().unwrap(),
                name: None,
                occurred_at,
            })
        };
        let reason = "a mistake".parse().unwrap();
        let skipped = BookEvent::Skipped(Skipped { book_id, revision: 1, reason, occurred_at });
        let stored = |(revision, event): (u64, BookEvent)| {
            let (event_type, data) = event.encode();
            StoredEvent {
                stream: book_id.stream(),
                revision,
                position: Position(10 + revision),
                id: Uuid::from_u128(revision.into()),
                event_type: event_type.to_owned(),
                content_type: ContentType::Json,
                data: data.into(),
                metadata: bytes::Bytes::new(),
                created_micros: 0,
            }
        };
        let events: Vec<_> = (0..).zip([warehoused(5), warehoused(7), skipped]).map(stored).collect();
        let cell = |column: &str, snapshot: &str, other: &str| Cell {
            column: column.to_owned(),
            snapshot: Some(snapshot.to_owned()),
            other: Some(other.to_owned()),
        };
        let explained = |cells: Vec<Cell>| {
            let key = vec![("book_id".to_owned(), 1)];
            let difference = Difference { key, cells, in_snapshot: true, in_other: true };
            choose(&events, &difference).map(|(event, why)| (event.revision, why))
        };
        assert_eq!(explained(vec![cell("stock", "12", "5")]), Some((0, "it changed that last")));
        let behind = vec![cell("revision", "0", "2"), cell("occurred_at", "then", "now")];
        assert_eq!(explained(behind), Some((2, "the row lacks it")));
        assert_eq!(explained(vec![cell("position", "11", "12")]), Some((2, "it is the last one in the row")));
    }
}
