//! `replay generations`: lists the generations of the read models, and drops those that are not needed any more.

use crate::patience::patiently;
use crate::places::Places;
use crate::table::Table;
use crate::tell::{Outcome, Tell, note};
use domain::Timestamp;
use indicatif::HumanBytes;
use read_model::generation::{self, KeptError, Listed, Stage};
use serde::Serialize;

/// List the generations of the read models, or drop some.
///
/// A number is given once: those that are missing were dropped, or were made by `verify` or a dry run and given up.
#[derive(Debug, clap::Args)]
pub(crate) struct Generations {
    /// Drop this generation first; may be given several times. The one that serves is never dropped.
    #[arg(long, value_name = "GENERATION")]
    drop: Vec<i32>,
}

#[derive(Serialize)]
struct All {
    generations: Vec<One>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One {
    generation: i32,
    serves: bool,
    stage: &'static str,
    fold_version: i32,
    position: String,
    bytes: u64,
    made_at: Timestamp,
    served_from: Option<Timestamp>,
    writer: Option<String>,
}

impl Generations {
    pub(crate) async fn run(self, places: &Places, tell: Tell) -> anyhow::Result<Outcome> {
        let mut connection = places.database()?.connect("bookstock replay", "").await?;
        for generation in self.drop {
            let drop = async || generation::drop_one(&mut connection, generation).await;
            patiently(drop, KeptError::is_contention).await?;
            note(format_args!("generation {generation} was dropped"));
        }
        let generations = generation::list(&connection).await?.into_iter().map(One::from).collect();
        let all = All { generations };
        tell.document(&all, || all.text())?;
        Ok(Outcome::Done)
    }
}

impl From<Listed> for One {
    fn from(listed: Listed) -> Self {
        Self {
            generation: listed.generation,
            serves: listed.serves,
            stage: match listed.stage {
                Stage::Building => "building",
                Stage::Abandoned => "abandoned",
                Stage::Kept => "kept",
                Stage::Frozen => "frozen",
            },
            fold_version: listed.fold_version,
            position: listed.position.to_string(),
            bytes: listed.bytes,
            made_at: listed.made_at,
            served_from: listed.served_from,
            writer: listed.owner,
        }
    }
}

impl All {
    fn text(&self) -> String {
        let mut table = Table::new(&[
            "generation>",
            "",
            "stage",
            "fold version>",
            "position>",
            "size>",
            "made",
            "served from",
            "writer",
        ]);
        for one in &self.generations {
            table.row([
                one.generation.to_string(),
                if one.serves { "serves".to_owned() } else { String::new() },
                one.stage.to_owned(),
                one.fold_version.to_string(),
                one.position.clone(),
                HumanBytes(one.bytes).to_string(),
                one.made_at.to_string(),
                one.served_from.map(|at| at.to_string()).unwrap_or_default(),
                one.writer.clone().unwrap_or_default(),
            ]);
        }
        table.text()
    }
}
