//! Queries: what they cost beside a route that answers the same bytes, what they take from commands, how many can follow
//! what changes, and what a list costs far from its beginning.

mod beside;
mod depth;
mod followers;
mod routes;

use crate::Plan;
use crate::commands::{BOOKS, warehouse};
use crate::http::{Asking, Connection, Question};
use crate::random::Random;
use crate::report::Report;
use crate::system::System;
use anyhow::ensure;
use clap::ValueEnum;
use futures_util::future::try_join_all;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// How many connections ask at once.
const CALLERS: usize = 64;

/// What is measured of queries.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Parts {
    /// What is measured [default: all of it].
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// How many clients follow what changes. Each takes a file descriptor on either side.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    followers: usize,

    /// After how many books a list goes on.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    depth: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A book, and a page of a hundred, beside a route that answers the same bytes.
    Routes,
    /// The same while commands come in.
    Beside,
    /// Clients that follow what changes.
    Followers,
    /// A list of a million books at its beginning and at its end.
    Depth,
}

pub(crate) async fn run(plan: Plan, parts: Parts, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("reads")?;
    let measures = |part| parts.parts.is_empty() || parts.parts.contains(&part);
    if [Part::Routes, Part::Beside, Part::Followers].into_iter().any(measures) {
        let system = library(dir).await?;
        if measures(Part::Routes) {
            routes::measure(&mut report, plan, &system, dir).await?;
        }
        if measures(Part::Beside) {
            beside::measure(&mut report, plan, &system).await?;
        }
        if measures(Part::Followers) {
            followers::measure(&mut report, plan, &system, parts.followers).await?;
        }
        system.stop().await?;
    }
    if measures(Part::Depth) {
        depth::measure(&mut report, plan, parts.depth, &dir.join("depth")).await?;
    }
    Ok(report)
}

/// A system with so many books.
async fn library(dir: &Path) -> anyhow::Result<System> {
    let system = System::start(dir).await?;
    let mut librarian = Connection::open(system.command_api).await?;
    for book in 1..=BOOKS {
        let (status, _) = librarian.ask(&warehouse(book)?).await?;
        ensure!(status.is_success(), "book {book} was not taken in: {status}");
    }
    system.settle().await?;
    Ok(system)
}

/// The question for each book.
fn books() -> anyhow::Result<Arc<[Question]>> {
    (1..=BOOKS).map(|book| Question::get(&format!("/books/{book}"))).collect()
}

/// The question for each page of a hundred.
fn pages() -> anyhow::Result<Arc<[Question]>> {
    (0..BOOKS / 100).map(|page| Question::get(&format!("/admins?size=100&page={page}"))).collect()
}

/// Callers that ask one of `questions` each time, on a connection each.
async fn readers(
    addr: SocketAddr,
    questions: &Arc<[Question]>,
) -> anyhow::Result<Vec<Asking<impl FnMut() -> Question + Send + 'static>>> {
    try_join_all((0..CALLERS).map(|caller| {
        let (questions, mut random) = (questions.clone(), Random::seeded(caller));
        Asking::connect(addr, move || questions[random.below(questions.len())].clone())
    }))
    .await
}
