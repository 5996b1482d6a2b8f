//! The traces in which events came in go on: each was projected, and made known to whoever listens.

use domain::book::BookId;
use read_model::Happening;
use read_model::batch::{Applied, Batch, POSITION};
use service_kit::clock;
use service_kit::traces::{self, Role, Span};

/// Of so many events of a batch the traces go on. A larger one is history that is caught up with.
const MOST: usize = 64;

const PART: &str = "projector";

/// A batch that is being written.
#[derive(Debug)]
pub(crate) struct Traced {
    began_micros: i64,
}

impl Traced {
    /// The writing begins; nothing, if nobody wants to know.
    pub(crate) fn begin() -> Option<Self> {
        traces::is_on().then(|| Self { began_micros: clock::unix_micros() })
    }

    /// `batch` was written to `generation`, where `from` was the position of the checkpoint.
    pub(crate) fn end(self, generation: i32, from: u64, batch: &Batch, applied: &Applied) {
        let ended_micros = clock::unix_micros();
        let new = batch.happenings.iter().filter(|happening| happening.position > from);
        let traced = new.filter_map(|happening| {
            let traceparent = happening.provenance.traceparent.as_deref()?;
            traces::is_recorded(traceparent).then_some((happening, traceparent))
        });
        for (happening, traceparent) in traced.take(MOST) {
            let name = || format!("project {}", happening.book_id.stream());
            let mut span = Span::begun_at(PART, Role::Hears, name, traceparent, self.began_micros);
            span.set("bookstock.position", happening.position.to_string());
            span.set("bookstock.revision", number(happening.revision));
            span.set("bookstock.generation", i64::from(generation));
            span.set("bookstock.batch_events", i64::try_from(batch.len()).unwrap_or(i64::MAX));
            if is_applied(happening, applied) {
                told(&span, applied, ended_micros);
            } else {
                span.failed("the stream is parked; `replay parked list` says why");
            }
            span.ended_at(ended_micros);
        }
    }
}

/// PostgreSQL tells whoever listens when the batch is committed.
fn told(projected: &Span, applied: &Applied, unix_micros: i64) {
    let Some(parent) = projected.traceparent() else { return };
    let mut span = Span::begun_at(PART, Role::Tells, || format!("NOTIFY {POSITION}"), &parent, unix_micros);
    span.set("bookstock.position", applied.checkpoint.position.to_string());
    span.ended_at(unix_micros);
}

fn is_applied(happening: &Happening, applied: &Applied) -> bool {
    let reached = |book: &BookId| applied.reached.get(book).copied();
    reached(&happening.book_id).is_some_and(|reached| happening.revision <= reached)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
