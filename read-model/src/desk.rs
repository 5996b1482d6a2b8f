//! Asking PostgreSQL: bounded in time, as a role that cannot write, and each answer from one snapshot of the generation
//! that serves.

use crate::database::{Database, describe};
use crate::generation::{FOLD_VERSION, Schema};
use crate::list::{ListRequest, Listed, Page};
use crate::list_sql::ListSql;
use crate::migrate::READER_ROLE;
use crate::reader::{ReaderError, ReaderOptions, State};
use crate::value::{self, Unreadable};
use crate::view::View;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use domain::book::BookId;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

/// Which generation serves, how often a stream of it was folded anew, and where it stands: told once, however many rows come
/// with it. Control tables of an earlier version count no refolds.
pub(crate) const STANDING: &str = "
    SELECT generation, (to_jsonb(projection) ->> 'refolds')::int8 AS refolds, position
    FROM bookstock.active JOIN bookstock.projection USING (generation) OFFSET 0";

/// How often a query is tried when the generation that serves changes under it.
const ATTEMPTS: usize = 3;

/// A value, and the state that it was read of.
#[derive(Clone, Debug)]
pub(crate) struct Asked<T> {
    pub(crate) value: T,
    pub(crate) state: State,
}

/// Connections for queries.
#[derive(Debug)]
pub(crate) struct Desk {
    pool: Pool,
    /// Who takes a whole list may take long: half of the connections are for all others.
    whole_lists: Arc<Semaphore>,
    query_timeout: Duration,
    waited: fn(Duration),
    /// The generation that served last; 0 before the first query.
    generation: AtomicI32,
}

impl Desk {
    pub(crate) fn new(database: &Database, options: &ReaderOptions) -> Self {
        let ReaderOptions { pool_size, query_timeout, waited, .. } = *options;
        let settings = settings(query_timeout);
        let manager = Manager::from_config(
            database.config("bookstock reader"),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let settings = settings.clone();
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager).max_size(pool_size.max(1)).post_create(set_up).build();
        #[allow(
            clippy::expect_used,
            reason = "building fails only for timeouts without a runtime, and none is set"
        )]
        let pool = pool.expect("a pool without timeouts can be built");
        let whole_lists = Arc::new(Semaphore::new((pool_size / 2).max(1)));
        Self { pool, whole_lists, query_timeout, waited, generation: AtomicI32::new(0) }
    }

    /// How long one query may take.
    pub(crate) fn query_timeout(&self) -> Duration {
        self.query_timeout
    }

    pub(crate) async fn ping(&self) -> Result<Asked<()>, ReaderError> {
        let standing = |_| STANDING.to_owned();
        self.ask(Question { sql: &standing, parameters: &[], kept: true }, |_| Ok(())).await
    }

    pub(crate) async fn by_id<V: View>(&self, book: BookId) -> Result<Asked<Option<V::Row>>, ReaderError> {
        let sql = |schema: Schema| {
            format!(
                "SELECT {}, standing.* FROM ({STANDING}) AS standing LEFT JOIN {} AS v ON v.book_id = $1",
                V::SELECT,
                schema.table(V::NAME)
            )
        };
        let book = value::bigint(book.get());
        let question = Question { sql: &sql, parameters: &[(&book, Type::INT8)], kept: true };
        self.ask(question, |rows| found::<V>(rows).next().transpose()).await
    }

    pub(crate) async fn list<V: Listed>(
        &self,
        request: &ListRequest,
    ) -> Result<Asked<Page<V::Row>>, ReaderError> {
        let mut list = ListSql::<V>::of(request);
        let sql = list.part(request);
        let parameters: Vec<_> =
            list.parameters.iter().map(|(value, of)| (&**value as _, of.clone())).collect();
        // Clients choose filter and order: a statement kept for each would cost every connection memory.
        let question = Question { sql: &sql, parameters: &parameters, kept: false };
        self.ask(question, |rows| {
            let total: Option<i64> = rows.first().map_or(Ok(None), |row| value::read(row, row.len() - 4))?;
            let mut page =
                Page { rows: found::<V>(rows).collect::<Result<Vec<_>, _>>()?, total: None, next: None };
            page.total = total.and_then(|total| u64::try_from(total).ok());
            let size = usize::try_from(request.size).unwrap_or(usize::MAX);
            let more = page.rows.len() > size;
            page.rows.truncate(size);
            if request.is_walk() && more {
                page.next = page.rows.last().map(|last| request.mark(V::facts(last)));
            }
            Ok(page)
        })
        .await
    }

    /// Puts `question` to the generation that serves. The answer's own snapshot says which one that is: if it is
    /// another than was asked, that one is asked instead.
    pub(crate) async fn ask<T>(
        &self,
        question: Question<'_>,
        read: impl Fn(&[Row]) -> Result<T, Unreadable>,
    ) -> Result<Asked<T>, ReaderError> {
        let deadline = Instant::now() + self.query_timeout;
        for _ in 0..ATTEMPTS {
            let asked = match self.generation.load(Ordering::Relaxed) {
                0 => standing(&self.run(STANDING, &[], true, deadline).await?)?.generation,
                known => known,
            };
            let sql = (question.sql)(Schema::of(asked));
            let rows = match self.run(&sql, question.parameters, question.kept, deadline).await {
                Ok(rows) => rows,
                Err(error @ ReaderError::NotSetUp(_)) => {
                    // It was dropped since it served, or it never had that.
                    self.generation.store(0, Ordering::Relaxed);
                    match self.serving(deadline).await? {
                        (generation, version) if generation == asked => {
                            return Err(other_version(generation, version).unwrap_or(error));
                        }
                        _ => continue,
                    }
                }
                Err(error) => return Err(error),
            };
            let state = standing(&rows)?;
            self.generation.store(state.generation, Ordering::Relaxed);
            if state.generation == asked {
                return Ok(Asked { value: read(&rows)?, state });
            }
        }
        Err(ReaderError::Unavailable("the generation that serves keeps changing".to_owned()))
    }

    /// That the tables which serve were made by another version of the views, if they were.
    pub(crate) async fn other_version(&self) -> Result<Option<ReaderError>, ReaderError> {
        let (generation, version) = self.serving(Instant::now() + self.query_timeout).await?;
        Ok(other_version(generation, version))
    }

    /// The generation that serves, and the version of the views that made it.
    async fn serving(&self, deadline: Instant) -> Result<(i32, i32), ReaderError> {
        let sql = "SELECT generation, fold_version FROM bookstock.active JOIN bookstock.projection USING (generation)";
        let rows = self.run(sql, &[], true, deadline).await?;
        let row = rows.first().ok_or_else(|| ReaderError::NotSetUp("no generation serves".to_owned()))?;
        Ok((value::read(row, 0)?, value::read(row, 1)?))
    }

    /// A connection for a whole list, when there is one to spare in time, and the place that it takes.
    pub(crate) async fn client_for_long(&self) -> Result<(Object, OwnedSemaphorePermit), ReaderError> {
        let deadline = Instant::now() + self.query_timeout;
        let place = timeout_at(deadline, Arc::clone(&self.whole_lists).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(late("had no connection to spare for a whole list", self.query_timeout));
        };
        Ok((self.client_until(deadline).await?, place))
    }

    async fn client_until(&self, deadline: Instant) -> Result<Object, ReaderError> {
        let asked = Instant::now();
        let client = timeout_at(deadline, self.pool.get()).await;
        (self.waited)(asked.elapsed());
        client
            .map_err(|_| late("had no connection to spare", self.query_timeout))?
            .map_err(refused_connection)
    }

    async fn run(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        kept: bool,
        deadline: Instant,
    ) -> Result<Vec<Row>, ReaderError> {
        let mut asking = Asking(None);
        let client = asking.0.insert(self.client_until(deadline).await?);
        let answer = timeout_at(deadline, async {
            if kept {
                let statement = client.prepare_cached(sql).await?;
                let parameters: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
                client.query(&statement, &parameters).await
            } else {
                client.query_typed(sql, parameters).await
            }
        })
        .await
        .map_err(|_| late("did not answer", self.query_timeout))?;
        asking.answered();
        answer.map_err(|error| failed(&error))
    }
}

/// The connection of a question that was not answered yet. Whoever goes away before it is takes the connection along:
/// another question on it would wait for this one's answer first.
struct Asking(Option<Object>);

impl Asking {
    /// The connection is free for the next question.
    fn answered(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// One statement, which begins with the columns of a view and ends with [`STANDING`]'s.
pub(crate) struct Question<'a> {
    pub(crate) sql: &'a (dyn Fn(Schema) -> String + Sync),
    pub(crate) parameters: &'a [(&'a (dyn ToSql + Sync), Type)],
    /// Whether connections keep it prepared.
    pub(crate) kept: bool,
}

/// The state that an answer is of: its last three columns.
pub(crate) fn standing(rows: &[Row]) -> Result<State, ReaderError> {
    let row = rows.first().ok_or_else(|| ReaderError::NotSetUp("no generation serves".to_owned()))?;
    let refolds: Option<i64> = value::read(row, row.len() - 2)?;
    Ok(State {
        generation: value::read(row, row.len() - 3)?,
        refolds: refolds.and_then(|refolds| u64::try_from(refolds).ok()).unwrap_or(0),
        position: value::read_u64(row, row.len() - 1)?,
    })
}

/// The rows of a view in an answer: when there is none, the outer join left one without a book id.
pub(crate) fn found<V: View>(rows: &[Row]) -> impl Iterator<Item = Result<V::Row, Unreadable>> {
    rows.iter().filter(|row| !matches!(row.try_get::<_, Option<i64>>(0), Ok(None))).map(V::read)
}

fn other_version(generation: i32, theirs: i32) -> Option<ReaderError> {
    (theirs != FOLD_VERSION).then_some(ReaderError::OtherVersion { generation, theirs, ours: FOLD_VERSION })
}

pub(crate) fn late(what: &str, limit: Duration) -> ReaderError {
    ReaderError::Unavailable(format!("PostgreSQL {what} within {} ms", limit.as_millis()))
}

fn refused_connection(error: PoolError) -> ReaderError {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => failed(&error),
        other => ReaderError::Unavailable(other.to_string()),
    }
}

pub(crate) fn failed(error: &tokio_postgres::Error) -> ReaderError {
    let reason = describe(error);
    match error.code() {
        // The control tables, the generation's tables or columns, or the role of readers is missing.
        Some(
            &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN
            | &SqlState::INVALID_SCHEMA_NAME
            | &SqlState::INVALID_PARAMETER_VALUE,
        ) => ReaderError::NotSetUp(reason),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => ReaderError::Unavailable(format!(
            "{reason}; let a superuser run once: GRANT {READER_ROLE} TO <the user of query-api>;"
        )),
        _ => ReaderError::Unavailable(reason),
    }
}

/// How a reader's connection is set up: as the role that may only read, and bounded in time on the server too.
pub(crate) fn settings(query_timeout: Duration) -> String {
    format!(
        "SET ROLE {READER_ROLE}; SET default_transaction_read_only = on; SET statement_timeout = {}",
        query_timeout.as_millis()
    )
}
