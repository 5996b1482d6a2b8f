//! `bookstock receive`: books a receiving list, a CSV file of what was delivered, as warehousing commands.
//!
//! All of the file is checked before anything is sent. Each row has a key of its own (delivery and line), so that
//! sending a list again, whole or after a crash in its middle, books nothing twice, as long as no book had 1,000 events of
//! others in between: so far back is a key recognised, beyond the rows of the list itself.

mod delivery;
mod exchange;
mod form;
mod list;
mod progress;
mod rejected;
mod send;
mod summary;
mod token;

use anyhow::Context as _;
pub use delivery::{Delivery, NotADelivery};
pub use list::{BadRow, ListError, ReceivingList, Row};
use progress::Progress;
pub use send::{Answer, SendError, Sender};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use summary::Summary;
pub use token::Token;

/// The most rows in one request, as the command API takes them; and so many at least, if there are more.
const ROWS_OF_A_REQUEST: usize = 100_000;
const ENOUGH_ROWS: usize = 10_000;

/// Book a receiving list: a CSV file with the columns bookId and qty, and name and version if it has them.
#[derive(Clone, Debug, clap::Args)]
pub struct Receive {
    /// The receiving list. Rows that the rules refuse are written beside it, to FILE.rejected.csv with the reason.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,

    /// Where the system is: the gateway or the command API. The certificate of an https address must be one that this machine trusts.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8088", value_parser = send::base_url)]
    url: String,

    /// The name of the delivery. A list that is sent again under the same name books nothing twice; by default the
    /// name is made from the file's content.
    #[arg(long, value_name = "NAME")]
    delivery: Option<Delivery>,

    /// How long rows are sent again while the system is out, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    patience: u64,

    /// The token to show, where the system asks for one: it has to allow `books:write`. As a variable, other users of this machine
    /// do not see it.
    #[arg(long, env = "BOOKSTOCK_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<Token>,
}

/// Books the list. Succeeds when every row is booked, now or before.
///
/// # Errors
/// When the file cannot be read or has a bad row (then nothing was sent), or the rejected rows cannot be written.
pub async fn run(args: Receive) -> anyhow::Result<ExitCode> {
    let Receive { file, url, delivery, patience, token } = args;
    let content = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let list = ReceivingList::parse(&content)
        .with_context(|| format!("{} cannot be received, and nothing was sent", file.display()))?;
    let delivery = delivery.unwrap_or_else(|| Delivery::of_content(&content));
    let mut out = std::io::stdout();
    writeln!(out, "{}: {} rows, delivery {delivery}", file.display(), list.rows.len())?;
    if !list.ignored.is_empty() {
        writeln!(out, "ignored columns: {}", list.ignored.join(", "))?;
    }

    let sender = Sender::new(url, delivery, Duration::from_secs(patience), token.as_ref())?;
    let started = Instant::now();
    let mut summary = Summary::of(list.rows.len());
    let failure = send_all(&list, &sender, &mut summary).await.err();
    let all_answered = failure.is_none() && summary.unreadable.is_empty();
    let rejected = rejected::write(&file, &list, &summary.refused, all_answered)?;
    summary.print(&mut out, rejected.as_deref(), started.elapsed())?;
    summary.name_the_unreadable(&mut std::io::stderr(), &list)?;
    match failure {
        None if summary.is_complete() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
        Some(failure) => {
            Err(failure).context("not all rows were sent; send the list again, it books nothing twice")
        }
    }
}

async fn send_all(list: &ReceivingList, sender: &Sender, summary: &mut Summary) -> Result<(), SendError> {
    let progress = Progress::start(list.rows.len());
    for request in requests(&list.rows) {
        let rows: Vec<&Row> = request.iter().filter_map(|index| list.rows.get(*index)).collect();
        let answered = |place: usize, answer| {
            if let Some(index) = request.get(place) {
                summary.add(*index, answer);
                progress.row_done();
            }
        };
        sender.send(&rows, answered, |words| progress.say(words)).await?;
    }
    Ok(())
}

/// The rows of each request, by index: all rows of a book go in one, in the order of the file.
fn requests(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    for book in by_book(rows) {
        match requests.last_mut() {
            Some(request) if request.len() + book.len() <= ENOUGH_ROWS => request.extend(book),
            _ => requests.push(book),
        }
    }
    requests.iter_mut().for_each(|request| request.sort_unstable());
    requests
}

/// The rows of each book, in the order of the file.
fn by_book(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut place = HashMap::new();
    let mut books: Vec<Vec<usize>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let book = *place.entry(row.book_id).or_insert(books.len());
        match books.get_mut(book) {
            Some(rows) => rows.push(index),
            None => books.push(vec![index]),
        }
    }
    books
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_book_stay_in_the_order_of_the_file() {
        let list = ReceivingList::parse(b"bookId,qty\n7,1\n9,2\n7,3\n8,4\n9,5\n").unwrap();
        assert_eq!(by_book(&list.rows), [vec![0, 2], vec![1, 4], vec![3]]);
        assert_eq!(requests(&list.rows), [[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn all_rows_of_a_book_go_in_one_request() {
        let text: String = (0..30_000).map(|row| format!("{},1\n", row % 7 + 1)).collect();
        let list = ReceivingList::parse(format!("bookId,qty\n{text}").as_bytes()).unwrap();
        let requests = requests(&list.rows);
        assert_eq!(requests.iter().map(Vec::len).sum::<usize>(), 30_000);
        assert!(requests.len() > 1 && requests.iter().all(|request| request.is_sorted()));
        let requests_of = |book: u64| {
            requests
                .iter()
                .filter(|request| request.iter().any(|row| list.rows[*row].book_id.get() == book))
                .count()
        };
        assert!((1..=7).all(|book| requests_of(book) == 1));
    }
}
