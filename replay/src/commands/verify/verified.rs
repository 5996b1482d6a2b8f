//! What a verification found, as it is told.

use crate::after::{AfterCheck, Place, Unchecked, Wrong};
use crate::drift::Compared;
use crate::table::{Table, count};
use domain::book::BookId;
use read_model::parked::Parked;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verified {
    generation: i32,
    events: u64,
    pub(super) seconds: f64,
    #[serde(flatten)]
    compared: Compared,
    /// Events whose metadata tells another state than the fold.
    wrong_after: u64,
    wrong_after_events: Vec<WrongAfter>,
    /// Events that could not be held against the fold.
    unchecked: u64,
    unchecked_events: Vec<UncheckedEvent>,
    /// Streams that stand still.
    parked: Vec<ParkedStream>,
    /// Streams of which the event store does not have every event any more: nothing says what their rows should be.
    not_provable: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrongAfter {
    #[serde(flatten)]
    event: Event,
    says: String,
    folds_to: String,
}

#[derive(Serialize)]
struct UncheckedEvent {
    #[serde(flatten)]
    event: Event,
    why: String,
}

/// Where an event is.
#[derive(Serialize)]
struct Event {
    stream: String,
    revision: u64,
    position: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedStream {
    stream: String,
    revision: u64,
    position: String,
    reason: String,
    /// Only the generation that serves waits there: folded anew, the stream goes on.
    waits_for_retry: bool,
}

/// The first of them, as they are told.
fn told<T: From<F>, F>(found: Vec<F>, most: usize) -> Vec<T> {
    found.into_iter().take(most).map(T::from).collect()
}

impl From<Place> for Event {
    fn from(Place { book, revision, position }: Place) -> Self {
        Self { stream: book.stream(), revision, position: position.to_string() }
    }
}

impl From<Wrong> for WrongAfter {
    fn from(Wrong { place, says, folds_to }: Wrong) -> Self {
        Self { event: place.into(), says, folds_to }
    }
}

impl From<Unchecked> for UncheckedEvent {
    fn from(Unchecked { place, why }: Unchecked) -> Self {
        Self { event: place.into(), why }
    }
}

impl ParkedStream {
    fn of(parked: Parked, waits_for_retry: bool) -> Self {
        Self {
            stream: parked.book_id.stream(),
            revision: parked.revision,
            position: parked.position.to_string(),
            reason: parked.reason,
            waits_for_retry,
        }
    }
}

impl Verified {
    /// What was found by comparing, and by holding metadata against the fold; the first `most` are told.
    pub(super) fn of(
        generation: i32,
        events: u64,
        compared: Compared,
        after: AfterCheck,
        most: usize,
    ) -> Self {
        Self {
            generation,
            events,
            seconds: 0.0,
            compared,
            wrong_after: after.wrong.count,
            wrong_after_events: told(after.wrong.first, most),
            unchecked: after.unchecked.count,
            unchecked_events: told(after.unchecked.first, most),
            parked: Vec::new(),
            not_provable: Vec::new(),
        }
    }

    /// With the streams that stand still, those that only do so in the generation that serves, and those of which events
    /// are gone.
    pub(super) fn with(mut self, parked: Vec<Parked>, waiting: Vec<Parked>, gone: &[BookId]) -> Self {
        let parked = parked.into_iter().map(|parked| ParkedStream::of(parked, false));
        let waiting = waiting.into_iter().map(|parked| ParkedStream::of(parked, true));
        self.parked = parked.chain(waiting).collect();
        self.not_provable = gone.iter().map(|book| book.stream()).collect();
        self
    }

    /// Whether all of it was compared, and nothing was found.
    pub(super) fn is_right(&self) -> bool {
        self.compared.differing() == 0 && self.compared.not_compared().is_empty() && self.wrong_after == 0
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "generation {}, {} events folded in {:.1} s, {}\n",
            self.generation,
            count(self.events),
            self.seconds,
            self.compared.text()
        );
        if self.wrong_after > 0 {
            let mut table =
                Table::new(&["position>", "revision>", "stream", "its metadata says", "it folds to"]);
            for WrongAfter { event, says, folds_to } in &self.wrong_after_events {
                let Event { stream, revision, position } = event;
                let (stream, revision) = (stream.clone(), revision.to_string());
                table.row([position.clone(), revision, stream, says.clone(), folds_to.clone()]);
            }
            let wrong = count(self.wrong_after);
            text.push_str(&format!("\n{wrong} events tell another state after them\n\n{}", table.text()));
        }
        if self.unchecked > 0 {
            let mut table = Table::new(&["position>", "revision>", "stream", "why"]);
            for UncheckedEvent { event, why } in &self.unchecked_events {
                let Event { stream, revision, position } = event;
                table.row([position.clone(), revision.to_string(), stream.clone(), why.clone()]);
            }
            let unchecked = count(self.unchecked);
            text.push_str(&format!(
                "\n{unchecked} events could not be held against the fold\n\n{}",
                table.text()
            ));
        }
        for ParkedStream { stream, revision, position, reason, waits_for_retry } in &self.parked {
            let retry =
                if *waits_for_retry { "; it waits to be tried again: `replay parked retry`" } else { "" };
            text.push_str(&format!(
                "\n{stream} stands still at event {revision}, position {position}: {reason}{retry}\n"
            ));
        }
        for stream in &self.not_provable {
            text.push_str(&format!(
                "\nof {stream} nothing can be proved: the event store does not have all of its events any more\n"
            ));
        }
        text + &self.conclusion()
    }

    fn conclusion(&self) -> String {
        let not_compared = self.compared.not_compared();
        let mut conclusion = String::new();
        if !not_compared.is_empty() {
            let not_compared = not_compared.join(", ");
            conclusion.push_str(&format!(
                "\nnot compared, as only one side has it: {not_compared}; `replay rebuild` makes the read models anew"
            ));
        }
        if self.compared.differing() > 0 {
            conclusion.push_str("\ndrift was found; `replay rebuild` makes the read models anew");
        } else if not_compared.is_empty() {
            conclusion.push_str("\nno drift: the read models are what the log says");
        }
        if self.wrong_after > 0 {
            conclusion.push_str(
                "\nwhat is wrong in metadata is in the log itself, and no rebuild changes that: commands take it for the \
                 state of the book",
            );
        }
        conclusion
    }
}
