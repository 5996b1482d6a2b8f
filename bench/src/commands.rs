//! Durable commands over 1,000 books and on one, with everything on, beside a route that only answers, a route that only
//! writes a file, and the disk; lists; how long an event takes to its view when nothing else happens; and the memory of the
//! command side.

use crate::http::{Asking, Connection, Question};
use crate::limits::{Running, disk};
use crate::load::closed_loop;
use crate::random::Random;
use crate::report::Report;
use crate::system::System;
use crate::{Plan, event_to_view, lists, warm_books};
use futures_util::future::try_join_all;
use hyper::StatusCode;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

const SYSTEM: &str = "bookstock";
const ONE_BOOK: &str = "bookstock, one book";
const DURABLE_ROUTE: &str = "durable route (limit)";
const BARE_ROUTE: &str = "bare route (limit)";
const EVENT_TO_VIEW: &str = "event to view, idle";
const FDATASYNC: &str = "fdatasync (limit)";

/// How many books there are.
pub(crate) const BOOKS: usize = 1_000;

/// How many connections ask at once.
const MOST_CALLERS: usize = 64;
const CALLERS: [usize; 3] = [1, 16, MOST_CALLERS];

pub(crate) async fn run(plan: Plan, dir: &Path) -> anyhow::Result<Report> {
    let mut report = plan.report("commands")?;
    let system = System::start(dir).await?;
    let durable_route = Running::durable_route(dir).await?;
    let first = warehouse(1)?;
    let (_, answer) = Connection::open(system.command_api).await?.ask(&first).await?;
    let bare_route = Running::bare_route("bare-route", &answer, StatusCode::CREATED, dir).await?;

    let contestants = [
        (SYSTEM, system.command_api, system.server()),
        (DURABLE_ROUTE, durable_route.addr, durable_route.server()),
        (BARE_ROUTE, bare_route.addr, bare_route.server()),
    ];
    for _ in 0..plan.rounds {
        for callers in CALLERS {
            for (what, addr, server) in contestants {
                let librarians = librarians(addr, callers, BOOKS).await?;
                report.add(what, callers, closed_loop(librarians, plan.span, &[server]).await?);
                system.settle().await?;
            }
        }
        let librarians = librarians(system.command_api, MOST_CALLERS, 1).await?;
        report.add(ONE_BOOK, MOST_CALLERS, closed_loop(librarians, plan.span, &[system.server()]).await?);
        system.settle().await?;
        lists::measure(&mut report, &system).await?;
        report.add(FDATASYNC, 1, disk::fdatasync(dir, plan.span).await?);
        report.add(EVENT_TO_VIEW, 1, event_to_view::measure(&system, plan.span).await?);
    }
    for callers in CALLERS {
        for limit in [DURABLE_ROUTE, BARE_ROUTE] {
            report.compare((SYSTEM, callers), (limit, callers));
        }
    }
    report.compare((SYSTEM, 1), (FDATASYNC, 1));
    report.compare((ONE_BOOK, MOST_CALLERS), (SYSTEM, MOST_CALLERS));
    system.stop().await?;
    warm_books::measure(&mut report, plan.span, dir).await?;
    Ok(report)
}

/// Warehousing one copy of a book.
pub(crate) fn warehouse(book: usize) -> anyhow::Result<Question> {
    Question::post(&format!("/books/{book}/warehousings"), r#"{"qty":1}"#)
}

/// Callers that warehouse a copy of one of so many books each time, on a connection each.
pub(crate) async fn librarians(
    addr: SocketAddr,
    callers: usize,
    books: usize,
) -> anyhow::Result<Vec<Asking<impl FnMut() -> Question + Send + 'static>>> {
    let commands: Arc<[Question]> = (1..=books).map(warehouse).collect::<anyhow::Result<_>>()?;
    try_join_all((0..callers).map(|caller| {
        let (commands, mut random) = (commands.clone(), Random::seeded(caller));
        Asking::connect(addr, move || commands[random.below(books)].clone())
    }))
    .await
}
