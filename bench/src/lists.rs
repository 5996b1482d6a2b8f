//! A receiving list of 100,000 rows in one request, over few books and over many, until the result of its last row is read.

use crate::http::{Connection, Question};
use crate::random::Random;
use crate::report::Report;
use crate::round::Meter;
use crate::system::System;
use anyhow::ensure;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// How many rows there are.
const ROWS: usize = 100_000;

/// A result that has to be that of a booked row.
#[derive(Deserialize)]
struct RowResult {
    row: usize,
    status: u16,
}

/// Books both lists, after they have made their books.
pub(crate) async fn measure(report: &mut Report, system: &System) -> anyhow::Result<()> {
    for (what, books) in [("list over 100 books", 100), ("list over 10,000 books", 10_000)] {
        book(system.command_api, (1..=books).collect()).await?;
        let mut random = Random::seeded(books);
        let rows = (0..ROWS).map(|_| random.below(books) + 1).collect();
        let meter = Meter::start(&[system.server()])?;
        let booked = book(system.command_api, rows).await?;
        report.add(what, 1, meter.stop(booked, None)?);
        system.settle().await?;
    }
    Ok(())
}

/// Books a list with a copy for each of `books`; answers how many rows were booked, which has to be all of them.
pub(crate) async fn book(addr: SocketAddr, books: Vec<usize>) -> anyhow::Result<u64> {
    let mut lines = String::new();
    for book in &books {
        writeln!(lines, r#"{{"bookId":{book},"qty":1}}"#)?;
    }
    let mut connection = Connection::open(addr).await?;
    let response = connection.send(&Question::post_lines("/warehousings", lines)?).await?;
    ensure!(response.status().is_success(), "a list was answered with {}", response.status());
    let (mut body, mut unread, mut booked) = (response.into_body(), Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        unread.extend_from_slice(&data);
        let end = unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in unread[..end].split_inclusive(|byte| *byte == b'\n') {
            let RowResult { row, status } = serde_json::from_slice(line)?;
            booked += 1;
            ensure!(row == booked && status == 201, "a row: {}", String::from_utf8_lossy(line));
        }
        unread.drain(..end);
    }
    ensure!(booked == books.len(), "{booked} rows of {} have a result", books.len());
    Ok(u64::try_from(booked)?)
}
