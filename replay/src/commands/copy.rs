//! `replay copy`: all events of one store to another.

use crate::carry::Order;
use crate::origin::Origin;
use crate::places::{Places, connect};
use crate::tell::{Outcome, Tell, WrongUse};
use crate::transfer::Transfer;
use crate::unfit;
use anyhow::Context as _;
use event_store::EventStore as _;
use std::fmt;

/// Copy all events of one store to another, and verify them. What is there already is recognised, so it may be run again.
#[derive(clap::Args)]
pub(crate) struct Copy {
    /// The store to copy from [default: that of --event-store-url or --data-dir].
    #[arg(long, env = "COPY_FROM_URL", value_name = "URL", hide_env_values = true)]
    from: Option<String>,

    /// The store to copy to.
    #[arg(long, env = "COPY_TO_URL", value_name = "URL", hide_env_values = true)]
    to: String,

    /// Go on with what comes, until Ctrl-C; then what is there by then is copied, and all of it verified. Another Ctrl-C
    /// stops at once.
    #[arg(long)]
    follow: bool,

    /// Keep the order of the events over all streams, too; slower.
    #[arg(long)]
    strict_order: bool,

    /// Go on without this stream, which cannot be carried; may be given several times.
    #[arg(long, value_name = "STREAM")]
    leave_out: Vec<String>,
}

impl Copy {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        if self.from.as_ref() == Some(&self.to) {
            return Err(anyhow::Error::new(WrongUse).context("--from and --to are the same store"));
        }
        let source = match &self.from {
            Some(url) => connect(url).context(WrongUse).context("--from")?,
            None => places.store()?,
        };
        let target = connect(&self.to).context(WrongUse).context("--to")?;
        source.ping().await.context("the store to copy from")?;
        target.ping().await.context("the store to copy to")?;
        let left_out = self.leave_out.into_iter().collect();
        let origin = Origin::Store { store: source.clone(), left_out };
        let beside = unfit::look(&source, origin.end().await?).await?;
        if let Origin::Store { left_out, .. } = &origin {
            beside.refuse(left_out)?;
        }
        let order = if self.strict_order { Order::Strict } else { Order::PerStream };
        let transfer = Transfer { origin, target, order, follow: self.follow, metadata: beside.metadata };
        let transferred = transfer.run("copying").await?;
        tell.document(&transferred, || transferred.text())?;
        Ok(transferred.outcome())
    }
}

/// The addresses may carry passwords, so they are not shown.
impl fmt::Debug for Copy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Copy").field("follow", &self.follow).finish_non_exhaustive()
    }
}
