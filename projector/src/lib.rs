//! The projector: it follows the event store and folds what it hears into the read models, each batch of events with
//! its checkpoint in one PostgreSQL transaction.
//!
//! Any number of projectors may run on one database. One is active, the others stand by and take over within five
//! seconds of its death. Absent on purpose: any rule of the business (a view's fold is in `read-model`), and any way to
//! skip an event: the stream of one that cannot be applied is parked, and waits for an operator.
#![forbid(unsafe_code)]

mod ahead;
mod follow;
mod halt;
mod hear;
mod kept;
mod owner;
mod retry;
mod settings;
mod shift;
mod status;
mod traced;
mod views;

use anyhow::Context as _;
use event_store::{EventStore as _, Kurrent, Options};
pub use hear::{Understood, decode};
use read_model::Database;
pub use retry::{fold_up_to, try_again};
use service_kit::Health;
pub use settings::Settings;
use shift::{Projector, Which};
pub use status::Status;
use tokio_util::sync::CancellationToken;
pub use views::VIEWS;

/// Projects until `shutdown`; then the batch under way is finished and the lease handed back. Neither store needs to
/// be up, now or at any other moment: the checks `event-store`, `database` and `projection` of `health` tell.
///
/// # Errors
/// When one of the addresses cannot be understood.
pub async fn run(settings: Settings, health: &Health, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_telling(settings, Status::default(), health, shutdown).await
}

/// The same, and `status` tells how far it is.
///
/// # Errors
/// When one of the addresses cannot be understood.
pub async fn run_telling(
    settings: Settings,
    status: Status,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let store = Kurrent::connect(&settings.event_store_url, Options::default()).context("EVENT_STORE_URL")?;
    let database: Database = settings.database_url.parse().context("DATABASE_URL")?;
    let asked = store.clone();
    tokio::spawn(health.check("event-store").follow(async move || asked.ping().await, shutdown.clone()));
    let projector = Projector {
        which: Which::Serving,
        status: Some(status.clone()),
        store: store.clone(),
        database,
        database_url: settings.database_url,
        batch_events: settings.batch_events,
        owner: settings.lease_owner.unwrap_or_else(owner::name),
        database_check: health.check("database"),
        projection_check: health.check("projection"),
    };
    let looking = shutdown.run_until_cancelled(ahead::look(&store, &status));
    tokio::join!(projector.clone().run(shutdown.clone()), projector.keep_others(shutdown.clone()), looking);
    Ok(())
}
