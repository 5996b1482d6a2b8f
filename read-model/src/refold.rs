//! Folding one stream anew, in one transaction: its rows are taken out and made again from its first event on.

use crate::batch::{advance, announce, save_revisions};
use crate::database::{Connection, DatabaseError, within};
use crate::generation::Schema;
use crate::lease::{Checkpoint, Lease, LeaseError};
use crate::value;
use crate::view::{AnyView, Happening};
use crate::write::{Way, Writers};
use deadpool_postgres::Transaction;
use domain::book::BookId;
use std::time::Duration;

/// How long each step may take before PostgreSQL counts as frozen.
const STEP: Duration = Duration::from_secs(5);

/// A stream on its way. Dropping it leaves everything as it was.
pub struct Refold<'a> {
    transaction: Transaction<'a>,
    generation: i32,
    checkpoint: Checkpoint,
    book: BookId,
    writers: Writers,
}

impl<'a> Refold<'a> {
    /// Begins, if the lease and the checkpoint are as this owner left them: nobody else writes before it ends.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub async fn begin(
        connection: &'a mut Connection,
        lease: &Lease,
        checkpoint: Checkpoint,
        book: BookId,
        views: &[&dyn AnyView],
    ) -> Result<Self, LeaseError> {
        let transaction = within(STEP, async { Ok(connection.client.transaction().await?) }).await?;
        let ours = within(STEP, advance(&transaction, lease, checkpoint, checkpoint)).await?;
        if !ours {
            return Err(LeaseError::Lost);
        }
        let generation = lease.generation;
        let id = value::bigint(book.get());
        within(STEP, async {
            let schema = Schema::of(generation);
            let tables = views.iter().map(|view| schema.table(view.name())).chain([schema.table("streams")]);
            for table in tables {
                transaction.execute(&format!("DELETE FROM {table} WHERE book_id = $1"), &[&id]).await?;
            }
            let parked = "DELETE FROM bookstock.parked WHERE generation = $1 AND book_id = $2";
            transaction.execute(parked, &[&generation, &id]).await?;
            let refolds = "UPDATE bookstock.projection SET refolds = refolds + 1 WHERE generation = $1";
            transaction.execute(refolds, &[&generation]).await?;
            Ok(())
        })
        .await?;
        let writers = Writers::of(views, Way::Statement);
        Ok(Self { transaction, generation, checkpoint, book, writers })
    }

    /// Applies the next events of the stream, without those that were taken out of it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn apply(&mut self, happenings: &[Happening]) -> Result<(), DatabaseError> {
        let schema = Schema::of(self.generation);
        within(STEP, async {
            self.writers.write(&self.transaction, &schema, happenings).await?;
            // All of it is one transaction, in which everything written is seen.
            self.writers.committed();
            Ok(())
        })
        .await
    }

    /// Ends it: the stream goes on after revision `last`, or begins.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn commit(self, last: Option<u64>) -> Result<(), DatabaseError> {
        let schema = Schema::of(self.generation);
        within(STEP, async {
            let last = last.map(|last| (self.book, last)).into_iter().collect();
            save_revisions(&self.transaction, &schema, &last).await?;
            announce(&self.transaction, self.checkpoint).await?;
            Ok(self.transaction.commit().await?)
        })
        .await
    }
}
