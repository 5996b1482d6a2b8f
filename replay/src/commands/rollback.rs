//! `replay rollback`: lets the generation serve again that served before.

use crate::patience::patiently;
use crate::places::Places;
use crate::tell::{Outcome, Tell};
use read_model::generation::{self, KeptError};
use serde::Serialize;

/// Let the generation serve again that served before, at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// This generation instead of the one before.
    #[arg(long, value_name = "GENERATION")]
    to: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RolledBack {
    generation: i32,
    before: i32,
    position: String,
    before_position: String,
}

impl Rollback {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let mut connection = places.database()?.connect("bookstock replay", "").await?;
        let went =
            patiently(async || generation::go_back(&mut connection, self.to).await, KeptError::is_contention)
                .await?;
        let told = RolledBack {
            generation: went.to,
            before: went.from,
            position: went.to_position.to_string(),
            before_position: went.from_position.to_string(),
        };
        tell.document(&told, || {
            let behind = if went.to_position < went.from_position {
                format!(
                    "\nit is at position {} and the other one at {}: it serves what it has, and the projector of its \
                     version catches it up",
                    went.to_position, went.from_position
                )
            } else {
                String::new()
            };
            format!("generation {} serves again instead of {}{behind}", went.to, went.from)
        })?;
        Ok(Outcome::Done)
    }
}
