//! Queries, beside a route that answers the same bytes.

use crate::Plan;
use crate::commands::{BOOKS, warehouse};
use crate::http::{Asking, Connection, Question};
use crate::limits::Running;
use crate::load::closed_loop;
use crate::random::Random;
use crate::report::Report;
use crate::system::System;
use anyhow::ensure;
use futures_util::future::try_join_all;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// How many connections ask at once.
const CALLERS: usize = 64;

/// A question to the system, and the route that answers the same bytes.
struct Pair {
    ours: &'static str,
    limit: &'static str,
    addr: SocketAddr,
    questions: Arc<[Question]>,
    route: Running,
}

pub(crate) async fn run(plan: Plan, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("reads")?;
    let system = System::start(dir).await?;
    let mut librarian = Connection::open(system.command_api).await?;
    for book in 1..=BOOKS {
        let (status, _) = librarian.ask(&warehouse(book)?).await?;
        ensure!(status.is_success(), "book {book} was not taken in: {status}");
    }
    system.settle().await?;

    let books = (1..=BOOKS).map(|book| Question::get(&format!("/books/{book}")));
    let books: Arc<[Question]> = books.collect::<anyhow::Result<_>>()?;
    let page: Arc<[Question]> = Arc::new([Question::get("/admins?size=100")?]);
    let pairs = [
        pair("one book", "one book, bare (limit)", "bare-book", system.query_api, books, dir).await?,
        pair("a page of 100", "a page, bare (limit)", "bare-page", system.admin, page, dir).await?,
    ];
    for _ in 0..plan.rounds {
        for Pair { ours, limit, addr, questions, route } in &pairs {
            for (what, addr, server) in
                [(*ours, *addr, system.server()), (*limit, route.addr, route.server())]
            {
                let readers = readers(addr, questions).await?;
                report.add(what, CALLERS, closed_loop(readers, plan.span, &[server]).await?);
            }
        }
    }
    for Pair { ours, limit, .. } in &pairs {
        report.compare((ours, CALLERS), (limit, CALLERS));
    }
    system.stop().await?;
    Ok(report)
}

/// Starts the route that answers as the system at `addr` answers the first of `questions`.
async fn pair(
    ours: &'static str,
    limit: &'static str,
    name: &str,
    addr: SocketAddr,
    questions: Arc<[Question]>,
    dir: &Path,
) -> anyhow::Result<Pair> {
    let (status, answer) = Connection::open(addr).await?.ask(&questions[0]).await?;
    ensure!(status.is_success(), "{} was answered with {status}", questions[0].target);
    let route = Running::bare_route(name, &answer, status, dir).await?;
    Ok(Pair { ours, limit, addr, questions, route })
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
