//! What was asked for lately, of a store with too many books to hold them all.

use crate::admin_list;
use crate::book_stock;
use crate::desk::Asked;
use crate::list::{ListRequest, Page};
use crate::memory::Latest;
use crate::reader::{At, ReaderError, State};
use domain::book::BookId;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use std::sync::Arc;

/// How many rows are kept of each view.
const ROWS: u64 = 100_000;

/// How many rows are kept in pages of each view.
const ROWS_IN_PAGES: u64 = 100_000;

/// Of both views.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    pub(crate) books: HotRows<book_stock::Row>,
    pub(crate) admins: HotRows<admin_list::Row>,
}

type AskedRow<Row> = Arc<Asked<Option<Row>>>;
type AskedPage<Row> = Arc<Asked<Page<Row>>>;

/// Rows and pages of one view. Many who ask for the same at once ask the database once.
#[derive(Debug)]
pub(crate) struct HotRows<Row: Send + Sync + 'static> {
    /// By generation and refolds too: whatever else changes a row gives it a new position.
    rows: Cache<(i32, u64, BookId), AskedRow<Row>>,
    /// By the state they were asked at: later, a page may be another.
    pages: Cache<(State, ListRequest), AskedPage<Row>>,
    /// What was last read of each row and each page, for when the database is out.
    last_rows: Cache<BookId, AskedRow<Row>>,
    last_pages: Cache<ListRequest, AskedPage<Row>>,
}

impl<Row: Clone + Send + Sync + 'static> Default for HotRows<Row> {
    fn default() -> Self {
        fn weight<Key, Row>(_: &Key, page: &AskedPage<Row>) -> u32 {
            u32::try_from(page.value.rows.len()).unwrap_or(u32::MAX).saturating_add(1)
        }
        Self {
            rows: Cache::new(ROWS),
            // Whatever was asked for often in an earlier state will not be again.
            pages: Cache::builder()
                .max_capacity(ROWS_IN_PAGES)
                .weigher(weight)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            last_rows: Cache::new(ROWS),
            last_pages: Cache::builder().max_capacity(ROWS_IN_PAGES).weigher(weight).build(),
        }
    }
}

impl<Row: Clone + Send + Sync + 'static> HotRows<Row> {
    /// A row as it is at the latest position; as it was when it was last read, if the database is out.
    pub(crate) async fn row<Asking>(
        &self,
        book: BookId,
        latest: &Latest,
        ask: impl Fn() -> Asking,
    ) -> Result<At<Option<Row>>, ReaderError>
    where
        Asking: Future<Output = Result<Asked<Option<Row>>, ReaderError>>,
    {
        match self.current(book, latest, ask).await {
            Err(error @ ReaderError::Unavailable(_)) => {
                let last = self.last_rows.get(&book).await.ok_or(error)?;
                Ok(At { stale: true, ..latest.at_its_own(&last) })
            }
            answer => answer,
        }
    }

    /// A row that is not among those that changed since the latest snapshot's `since`. So one that was read after that
    /// is still as it was.
    async fn current<Asking>(
        &self,
        book: BookId,
        latest: &Latest,
        ask: impl Fn() -> Asking,
    ) -> Result<At<Option<Row>>, ReaderError>
    where
        Asking: Future<Output = Result<Asked<Option<Row>>, ReaderError>>,
    {
        let (since, now) = (latest.snapshot.since, latest.snapshot.state());
        let key = (now.generation, now.refolds, book);
        let holds =
            |asked: &Asked<Option<Row>>| asked.state.position >= since && !asked.state.lacks_refolds_of(now);
        if self.rows.get(&key).await.is_some_and(|known| !holds(&known)) {
            self.rows.invalidate(&key).await;
        }
        let mut asked = self.asked(key, &ask).await?;
        if !holds(&asked) {
            // Another had asked before the snapshot was there. Whoever asks from here on asks after it.
            self.rows.invalidate(&key).await;
            asked = self.asked(key, &ask).await?;
        }
        let same_tables = (asked.state.generation, asked.state.refolds) == (now.generation, now.refolds);
        if same_tables && holds(&asked) && asked.state.position <= now.position {
            return Ok(latest.at(asked.value.clone()));
        }
        Ok(latest.at_its_own(&asked))
    }

    /// The row that is kept, or what the database says, which many may wait for.
    async fn asked<Asking>(
        &self,
        key: (i32, u64, BookId),
        ask: impl Fn() -> Asking,
    ) -> Result<AskedRow<Row>, ReaderError>
    where
        Asking: Future<Output = Result<Asked<Option<Row>>, ReaderError>>,
    {
        let (_, _, book) = key;
        let asking = async {
            let asked = Arc::new(ask().await?);
            self.last_rows.insert(book, Arc::clone(&asked)).await;
            Ok::<_, ReaderError>(asked)
        };
        self.rows.try_get_with(key, asking).await.map_err(|error| ReaderError::clone(&error))
    }

    /// A page as it is at the latest position; the last that was seen of it, if the database is out.
    pub(crate) async fn page<Asking>(
        &self,
        request: &ListRequest,
        latest: &Latest,
        ask: impl FnOnce() -> Asking,
    ) -> Result<At<Page<Row>>, ReaderError>
    where
        Asking: Future<Output = Result<Asked<Page<Row>>, ReaderError>>,
    {
        let now = latest.snapshot.state();
        let key = (now, request.clone());
        let asking = async { ask().await.map(Arc::new) };
        match self.pages.try_get_with_by_ref(&key, asking).await {
            Ok(asked) => {
                if asked.state.position < now.position || asked.state.lacks_refolds_of(now) {
                    // A replica that lags behind the one which is followed. It will have caught up some day.
                    self.pages.invalidate(&key).await;
                }
                self.last_pages.insert(request.clone(), Arc::clone(&asked)).await;
                Ok(latest.at_its_own(&asked))
            }
            Err(error) if !matches!(*error, ReaderError::Unavailable(_)) => Err(ReaderError::clone(&error)),
            Err(error) => {
                let last = self.last_pages.get(request).await.ok_or_else(|| ReaderError::clone(&error))?;
                Ok(At { stale: true, ..latest.at_its_own(&last) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Filter, Place};
    use crate::memory::{Shelf, Snapshot};
    use std::future::ready;
    use std::time::Duration;

    fn state(position: u64, refolds: u64) -> State {
        State { generation: 1, refolds, position }
    }

    /// A snapshot of that state which holds no book: none changed after `since`.
    fn latest(of: State, since: u64) -> Latest {
        let State { generation, refolds, position } = of;
        let snapshot = Snapshot {
            generation,
            position,
            refolds: Some(refolds),
            since,
            parked: Arc::default(),
            books: Shelf::of(Vec::new()),
            admins: Shelf::of(Vec::new()),
        };
        Latest { snapshot: Arc::new(snapshot), age: Duration::ZERO, stale: false }
    }

    fn book(number: u64) -> BookId {
        number.try_into().unwrap()
    }

    async fn row(hot: &HotRows<u32>, latest: &Latest, value: u32, of: State) -> At<Option<u32>> {
        let told = || ready(Ok(Asked { value: Some(value), state: of }));
        hot.row(book(1), latest, told).await.unwrap()
    }

    async fn page(hot: &HotRows<u32>, latest: &Latest, value: u32, of: State) -> At<Page<u32>> {
        let request =
            ListRequest { filter: Filter::default(), sort: Vec::new(), place: Place::Page(0), size: 1 };
        let told = || {
            let value = Page { rows: vec![value], total: Some(1), next: None };
            ready(Ok(Asked { value, state: of }))
        };
        hot.page(&request, latest, told).await.unwrap()
    }

    #[tokio::test]
    async fn a_row_that_may_have_changed_is_answered_as_it_was_while_the_database_is_out() {
        let hot = HotRows::default();
        let found = row(&hot, &latest(state(10, 0), 1), 5, state(10, 0)).await;
        assert_eq!((found.value, found.state(), found.stale), (Some(5), state(10, 0), false));
        let out = || ready(Err(ReaderError::Unavailable("it is out".to_owned())));
        // Others changed since, more than are held, or a stream was folded anew. It is asked for again and again.
        for (now, since) in [(state(30, 0), 20), (state(30, 0), 20), (state(30, 1), 1)] {
            let latest = latest(now, since);
            let found = hot.row(book(1), &latest, out).await.unwrap();
            assert_eq!((found.value, found.state(), found.stale), (Some(5), state(10, 0), true));
            assert!(hot.row(book(2), &latest, out).await.is_err());
        }
        let back = latest(state(30, 1), 20);
        let broken = || ready(Err(ReaderError::NotSetUp("it is another".to_owned())));
        assert!(hot.row(book(1), &back, broken).await.is_err());
        let found = row(&hot, &back, 6, state(30, 1)).await;
        assert_eq!((found.value, found.state(), found.stale), (Some(6), state(30, 1), false));
    }

    #[tokio::test]
    async fn what_was_read_before_a_stream_was_folded_anew_is_told_as_such_and_not_kept() {
        let hot = HotRows::default();
        let latest = latest(state(10, 1), 1);
        // A replica lags behind the one that is followed; then it has caught up.
        for (value, of) in [(5, state(10, 0)), (6, state(10, 1))] {
            let found = row(&hot, &latest, value, of).await;
            assert_eq!((found.value, found.state()), (Some(value), of));
            let found = page(&hot, &latest, value, of).await;
            assert_eq!((&found.value.rows, found.state()), (&vec![value], of));
        }
        // That is kept.
        assert_eq!(row(&hot, &latest, 7, state(10, 1)).await.value, Some(6));
        assert_eq!(page(&hot, &latest, 7, state(10, 1)).await.value.rows, [6]);
    }
}
