//! A book, and a page of a hundred, beside a route that answers the same bytes.

use super::{CALLERS, books, pages, readers};
use crate::Plan;
use crate::http::{Connection, Question};
use crate::limits::Running;
use crate::load::closed_loop;
use crate::report::Report;
use crate::system::System;
use anyhow::ensure;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A question to the system, and the route that answers the same bytes.
struct Pair {
    ours: &'static str,
    limit: &'static str,
    addr: SocketAddr,
    questions: Arc<[Question]>,
    route: Running,
}

pub(super) async fn measure(
    report: &mut Report,
    plan: Plan,
    system: &System,
    dir: &Path,
) -> anyhow::Result<()> {
    let pairs = [
        pair("one book", "one book, bare (limit)", "bare-book", system.query_api, books()?, dir).await?,
        pair("a page of 100", "a page, bare (limit)", "bare-page", system.admin, pages()?, dir).await?,
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
    Ok(())
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
