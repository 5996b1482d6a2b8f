//! Appending: in the session that there is, or else in a call of its own, tried again with the same ids and the same
//! expectation while the outcome is open and there is time.
//!
//! That is safe because the store answers a repeated append as the first time, for ever, if the expectation is exact.

use super::connection::Connection;
use super::convert;
use super::failure::Failure;
use super::pauses::Pauses;
use crate::{AppendError, Appended, Expected, NewEvent, Position};
use eventstore::{AppendToStreamOptions, EventData};
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn append(
    connection: &Connection,
    timeout: Duration,
    stream: &str,
    expected: Expected,
    events: &[NewEvent],
) -> Result<Appended, AppendError> {
    let deadline = Instant::now() + timeout;
    let options = AppendToStreamOptions::default()
        .expected_revision(convert::expected_revision(expected))
        .deadline(timeout);
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut tries = Tries { expected, open: None };
    let mut tried_in_session = false;
    loop {
        let attempt = async {
            if !std::mem::replace(&mut tried_in_session, true) {
                let events = proposed(stream, events)?;
                let appended = connection
                    .call(deadline, |link| async move {
                        link.session().append(link.client(), deadline, stream, expected, events).await
                    })
                    .await?;
                if let Some(appended) = appended {
                    return Ok(appended);
                }
            }
            let events = proposed(stream, events)?;
            let options = &options;
            // Where there is no session, or it failed: boxed, it takes no room in each append.
            let written = connection
                .call(deadline, |link| {
                    Box::pin(async move {
                        let written = link.client().append_to_stream(stream, options, events).await?;
                        link.session().may_begin();
                        Ok(written)
                    })
                })
                .await?;
            Ok(Appended {
                revision: written.next_expected_version,
                position: Position(written.position.commit),
            })
        };
        let reason = match attempt.await {
            Ok(appended) => return Ok(appended),
            Err(failure) => tries.failed(failure)?,
        };
        if !pauses.pause_before(deadline).await {
            return Err(tries.out_of_time(reason));
        }
        (connection.trying_again)();
    }
}

/// The events as the client sends them, if the store can take them at all.
fn proposed(stream: &str, events: &[NewEvent]) -> Result<Vec<EventData>, Failure> {
    if stream.is_empty() || events.is_empty() {
        // To an append of nothing the client answers revision 0, whatever the stream's revision is.
        return Err(Failure::Refused(
            "an append needs the name of a stream and at least one event".to_owned(),
        ));
    }
    events.iter().map(convert::proposed).collect()
}

/// What the tries so far say about the append.
struct Tries {
    expected: Expected,
    /// Why it may be stored although no answer came.
    open: Option<String>,
}

impl Tries {
    /// Takes in a failed try: the final error, or the reason to try once more.
    fn failed(&mut self, failure: Failure) -> Result<String, AppendError> {
        let reason = failure.to_string();
        match (failure, &self.open) {
            // Had an earlier try been stored, the store would have said so now. So this conflict is a real one.
            (Failure::Conflict { current }, _) => {
                Err(AppendError::Conflict { expected: self.expected, current })
            }
            (Failure::Refused(_) | Failure::Invalid(_), None) => Err(AppendError::Refused(reason)),
            // If an earlier try was stored before that, no later one can learn it any more.
            (Failure::Deleted, _) => Err(AppendError::Deleted),
            (Failure::Unreached(_) | Failure::DeadClient(_) | Failure::NotFound, None) => {
                Err(AppendError::Unavailable(reason))
            }
            (Failure::Open(_) | Failure::Damaged(_), None) => Ok(self.open.insert(reason).clone()),
            // A later try that surely stored nothing says nothing about an earlier one.
            (
                Failure::Redirected { .. }
                | Failure::Refused(_)
                | Failure::Invalid(_)
                | Failure::Unreached(_)
                | Failure::DeadClient(_)
                | Failure::NotFound
                | Failure::Open(_)
                | Failure::Damaged(_),
                _,
            ) => Ok(reason),
        }
    }

    /// The error when no time is left for another try.
    fn out_of_time(self, reason: String) -> AppendError {
        match self.open {
            Some(why) => AppendError::OutcomeUnknown(why),
            None => AppendError::Unavailable(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(failures: Vec<Failure>) -> AppendError {
        let mut tries = Tries { expected: Expected::Revision(7), open: None };
        let mut reason = String::new();
        for failure in failures {
            match tries.failed(failure) {
                Ok(why) => reason = why,
                Err(error) => return error,
            }
        }
        tries.out_of_time(reason)
    }

    fn open() -> Failure {
        Failure::Open("no answer".to_owned())
    }

    fn unreached() -> Failure {
        Failure::Unreached("connection refused".to_owned())
    }

    #[test]
    fn a_store_that_was_never_reached_is_unavailable() {
        assert_eq!(tries(vec![unreached()]), AppendError::Unavailable("connection refused".to_owned()));
        let redirected = Failure::Redirected { port: 2113 };
        assert!(matches!(tries(vec![redirected]), AppendError::Unavailable(_)));
    }

    #[test]
    fn after_an_open_outcome_a_refused_connection_changes_nothing() {
        let error = tries(vec![open(), unreached(), Failure::DeadClient(String::new())]);
        assert_eq!(error, AppendError::OutcomeUnknown("no answer".to_owned()));
        let error = tries(vec![open(), Failure::Refused("access denied".to_owned())]);
        assert_eq!(error, AppendError::OutcomeUnknown("no answer".to_owned()));
    }

    #[test]
    fn after_an_open_outcome_a_conflict_is_a_real_one() {
        let error = tries(vec![open(), Failure::Conflict { current: Some(9) }]);
        assert_eq!(error, AppendError::Conflict { expected: Expected::Revision(7), current: Some(9) });
    }

    #[test]
    fn that_a_stream_is_deleted_ends_the_tries() {
        assert_eq!(tries(vec![Failure::Deleted]), AppendError::Deleted);
        assert_eq!(tries(vec![Failure::Redirected { port: 2113 }, Failure::Deleted]), AppendError::Deleted);
        assert_eq!(tries(vec![open(), Failure::Deleted]), AppendError::Deleted);
    }

    #[test]
    fn nothing_is_sent_for_an_append_of_nothing() {
        assert!(matches!(proposed("book-1", &[]), Err(Failure::Refused(_))));
        assert!(matches!(proposed("", &[]), Err(Failure::Refused(_))));
    }
}
