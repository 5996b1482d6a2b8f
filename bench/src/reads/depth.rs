//! A list that goes on and on: what a part of it costs at its beginning, and after a million books. There are too many to
//! be held in memory, and each part is asked for the first time, so that it comes from PostgreSQL.

use crate::Plan;
use crate::commands::warehouse;
use crate::history;
use crate::http::{Connection, Question};
use crate::report::Report;
use crate::round::{self, Meter, Round};
use crate::system::{Acknowledged, System};
use anyhow::{Context as _, ensure};
use event_store::Kurrent;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The rows of each part that is measured.
const SIZE: u64 = 100;

/// How many parts are measured at either end.
const PARTS: usize = 50;

/// The books beyond the depth: more than those parts have.
const BEYOND: u64 = 10_000;

/// The rows of each part on the way.
const STRIDE: u64 = 1_000;

/// How often to wait for ten seconds until the views show it all.
const WAITS: u32 = 60;

/// The orders that are walked in: what is asked, and what it is called at either end.
const ORDERS: [(&str, [&str; 2]); 2] = [
    ("", ["100 books, at the beginning", "100 books, far on"]),
    ("&sort=bookName", ["100 names, at the beginning", "100 names, far on"]),
];

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    next: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

pub(super) async fn measure(report: &mut Report, plan: Plan, depth: u64, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    crate::system::open_to_all(dir)?;
    let system = System::start(dir).await?;
    let books = depth + BEYOND;
    crate::progress(format_args!("writing {books} books"));
    let store = Kurrent::connect(&system.event_store, history::patient())?;
    history::write(&store, books, 1).await?;
    change(&system).await?;
    crate::progress("walking to the end");
    let mut walks = Vec::new();
    for (order, names) in ORDERS {
        let begin = format!("/admins?cursor=&size={SIZE}{order}");
        let first = parts_from(&system, begin).await?;
        let far = far_on(&system, order, depth).await?;
        walks.push((names, [first, parts_from(&system, far).await?]));
    }
    for _ in 0..plan.rounds {
        for (names, ends) in &walks {
            for (name, questions) in names.iter().zip(ends) {
                // At another position than before, nobody remembers any part.
                change(&system).await?;
                report.add(name, 1, ask_each(&system, questions).await?);
            }
        }
    }
    for (_, [begin, far]) in ORDERS {
        report.compare((far, 1), (begin, 1));
    }
    system.stop().await
}

/// Warehouses a copy of a book, and waits until the views show that.
async fn change(system: &System) -> anyhow::Result<()> {
    let mut commands = Connection::open(system.command_api).await?;
    let booked: Acknowledged = commands.ask_json(&warehouse(1)?).await?;
    let seen = Question::get(&format!("/books/1?minPosition={}&wait=10000", booked.position))?;
    let mut queries = Connection::open(system.query_api).await?;
    for _ in 0..WAITS {
        let (status, _) = queries.ask(&seen).await?;
        if status.is_success() {
            return Ok(());
        }
    }
    anyhow::bail!("the views did not reach position {}", booked.position)
}

/// The parts from `begin` on, as the links lead through them.
async fn parts_from(system: &System, begin: String) -> anyhow::Result<Vec<Question>> {
    let mut connection = Connection::open(system.admin).await?;
    let mut questions = vec![Question::get(&begin)?];
    while let Some(last) = questions.last().filter(|_| questions.len() < PARTS) {
        questions.push(Question::get(&next(&mut connection, last).await?.context("the list is too short")?)?);
    }
    Ok(questions)
}

/// Where the list goes on after `depth` books.
async fn far_on(system: &System, order: &str, depth: u64) -> anyhow::Result<String> {
    let mut connection = Connection::open(system.admin).await?;
    let stride = |cursor: &str, size: u64| format!("/admins?cursor={cursor}&size={size}{order}");
    let mut cursor = String::new();
    for _ in 0..depth / STRIDE {
        let next = next(&mut connection, &Question::get(&stride(&cursor, STRIDE))?).await?;
        let next = next.context("the list is too short")?;
        cursor = next
            .split(['?', '&'])
            .find_map(|parameter| parameter.strip_prefix("cursor="))
            .context("the next part has no cursor")?
            .to_owned();
    }
    Ok(stride(&cursor, SIZE))
}

/// The path and query that `question` is followed by.
async fn next(connection: &mut Connection, question: &Question) -> anyhow::Result<Option<String>> {
    let part: Part = connection.ask_json(question).await?;
    let path =
        |link: Link| Ok(link.href.parse::<hyper::Uri>()?.path_and_query().context("no path")?.to_string());
    part.links.next.map(path).transpose()
}

/// Asks one after the other.
async fn ask_each(system: &System, questions: &[Question]) -> anyhow::Result<Round> {
    let mut connection = Connection::open(system.admin).await?;
    let mut latencies = round::latencies()?;
    let meter = Meter::start(&[system.server()])?;
    for question in questions {
        let began = Instant::now();
        let (status, _) = connection.ask(question).await?;
        ensure!(status.is_success(), "{} was answered with {status}", question.target);
        round::record(&mut latencies, began.elapsed());
    }
    meter.stop(latencies.len(), Some(latencies))
}
