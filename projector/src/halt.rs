//! What the projector does not get past by itself.

/// Going on would make the read models wrong, so the projector stops here until an operator has helped. It looks
/// again now and then, so that nothing needs to be restarted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Halt {
    /// The checkpoint is of an event that this store does not have.
    #[error(
        "the read models were made from another event store: at position {position} they have event {expected}, and this store has {}; connect the store they were made from, or make them anew with `replay rebuild`",
        found.as_deref().unwrap_or("none")
    )]
    OtherStore {
        /// The checkpoint's position.
        position: u64,
        /// The event id of the checkpoint.
        expected: String,
        /// The event id that the store has there.
        found: Option<String>,
    },
    /// The store has another event where the read models have one, though it has the checkpoint's where it was.
    #[error(
        "the read models were made from another event store, be it a copy of this one: they have other events at some positions ({0}); connect the store they were made from, or make them anew with `replay rebuild`"
    )]
    PositionTaken(String),
    /// The tables are of another version of this program.
    #[error(
        "the read models that serve were folded by version {theirs} of the views, and this program has version {ours}; run `replay rebuild` meanwhile (with --data-dir, if `bookstock up` runs them), or the program that made them"
    )]
    OtherFold {
        /// The tables' version.
        theirs: i32,
        /// This program's.
        ours: i32,
    },
}
