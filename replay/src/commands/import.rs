//! `replay import`: the events of a file that `replay export` wrote, into the store.

use crate::carry::Order;
use crate::origin::Origin;
use crate::places::Places;
use crate::tell::{Outcome, Tell};
use crate::transfer::{self, Transfer};
use anyhow::Context as _;
use event_store::EventStore as _;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Write the events of a file that `replay export` wrote into the store, and verify them. What is there already is
/// recognised, so it may be run again.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The file, compressed or not.
    file: PathBuf,

    /// Keep the order of the events over all streams, too; slower.
    #[arg(long)]
    strict_order: bool,
}

impl Import {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let (target, origin) = (places.store()?, Origin::File(self.file));
        let end = origin.end().await?;
        // A file that is not whole, or was changed, is refused before anything is written.
        let stop = service_kit::shutdown::on_signal(Duration::ZERO)?;
        let checking = transfer::each(&origin, end, "checking", |_| {});
        stop.run_until_cancelled(checking).await.context("stopped; nothing was written")??;
        target.ping().await?;
        let order = if self.strict_order { Order::Strict } else { Order::PerStream };
        let transfer = Transfer { origin, target, order, follow: false, metadata: BTreeSet::new() };
        let transferred = transfer.run("importing").await?;
        tell.document(&transferred, || transferred.text())?;
        Ok(transferred.outcome())
    }
}
