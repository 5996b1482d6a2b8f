//! What becomes of a list whose service stops in the middle of it: its answer ends well, and tells what to send again.

use super::super::problem;
use super::super::rows::Rows;
use super::{Booking, Settled, failed};
use domain::book::BookId;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

impl Booking {
    /// Waits for what is under way, and tells of every other row that it was not tried: of those that are here one by one, of
    /// those that would have come at once.
    pub(super) async fn stop<F>(mut self, mut rows: Rows, mut under_way: FuturesUnordered<F>)
    where
        F: Future<Output = (BookId, Vec<(u64, Settled)>)>,
    {
        let line = |number| failed(number, &problem::row_not_tried(), self.language);
        let not_tried = |number| (number, Settled { line: line(number), is_open: true });
        let waiting: Vec<(BookId, Vec<(u64, Settled)>)> = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(book, rows)| (book, rows.into_iter().map(|(number, _)| not_tried(number)).collect()))
            .collect();
        for (book, results) in waiting {
            self.note(book, results);
        }
        while let Some((book, results)) = under_way.next().await {
            self.note(book, results);
        }
        rows.give_up(problem::row_not_tried());
        if let Some((number, problem)) = rows.problem() {
            self.results.push_back(Some(failed(number, &problem, self.language)));
        }
        if self.tell(usize::MAX).await {
            // The answer ends here, also for whoever has not sent all.
            self.out.end();
            rows.read_over().await;
        }
    }
}
