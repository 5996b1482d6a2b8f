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
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long each step may take before PostgreSQL counts as frozen.
const STEP: Duration = Duration::from_secs(5);

/// How often PostgreSQL hears from us while something else is waited for. It ends the transaction of an owner that is
/// silent for a second.
const SIGN_OF_LIFE: Duration = Duration::from_millis(300);

/// A stream on its way. Dropping it leaves everything as it was.
pub struct Refold<'a> {
    transaction: Transaction<'a>,
    lease: &'a Lease,
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
        lease: &'a Lease,
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
        Ok(Self { transaction, lease, checkpoint, book, writers })
    }

    /// Awaits something else in the middle of it, such as the next events.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn meanwhile<T>(&self, other: impl Future<Output = T>) -> Result<T, DatabaseError> {
        let mut other = pin!(other);
        loop {
            match timeout(SIGN_OF_LIFE, &mut other).await {
                Ok(done) => return Ok(done),
                Err(_) => {
                    within(STEP, async { Ok(self.transaction.batch_execute("SELECT").await?) }).await?;
                }
            }
        }
    }

    /// Applies the next events of the stream, without those that were taken out of it.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn apply(&mut self, happenings: &[Happening]) -> Result<(), DatabaseError> {
        let schema = Schema::of(self.lease.generation);
        within(STEP, async {
            self.writers.write(&self.transaction, &schema, happenings).await?;
            // All of it is one transaction, in which everything written is seen.
            self.writers.committed();
            Ok(())
        })
        .await
    }

    /// Ends it, and renews the lease, which may have run out meanwhile: the stream goes on after revision `last`, or begins.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn commit(self, last: Option<u64>) -> Result<(), DatabaseError> {
        let schema = Schema::of(self.lease.generation);
        within(STEP, async {
            let last = last.map(|last| (self.book, last)).into_iter().collect();
            save_revisions(&self.transaction, &schema, &last).await?;
            announce(&self.transaction, self.checkpoint).await?;
            self.lease.extend(&self.transaction).await?;
            Ok(self.transaction.commit().await?)
        })
        .await
    }
}
