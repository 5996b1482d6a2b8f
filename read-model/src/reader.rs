//! The reading side: bounded in time, unable to write, and each answer from one snapshot with its position.

use crate::database::{Database, NotAnAddress, describe};
use crate::generation::Schema;
use crate::migrate::READER_ROLE;
use crate::page::{Page, PageRequest, SortColumn};
use crate::position::{Behind, Positions};
use crate::value::{self, Unreadable};
use crate::view::View;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use domain::book::BookId;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

/// Which generation serves, and where it stands.
const STANDING: &str = "SELECT active.generation, projection.position
    FROM bookstock.active JOIN bookstock.projection USING (generation)";

/// How often a query is tried when the generation that serves changes under it.
const ATTEMPTS: usize = 3;

/// What a reader may use.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// Connections at most.
    pub pool_size: usize,
    /// How long one query may take, with the wait for a connection.
    pub query_timeout: Duration,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { pool_size: 16, query_timeout: Duration::from_millis(1_500) }
    }
}

/// A value, and where the read models stood when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// What was read.
    pub value: T,
    /// The position of the last event folded in; 0 before the first.
    pub position: u64,
    /// The generation that it was read from.
    pub generation: i32,
}

/// Why a query was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderError {
    /// PostgreSQL was not reached, did not answer in time, or has no connection to spare. It may work again soon.
    #[error("the read models cannot be reached: {0}")]
    Unavailable(String),
    /// The database holds no read models yet.
    #[error("the read models are not set up yet ({0}); start the projector once on this database")]
    NotSetUp(String),
    /// What was read makes no sense.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Reads the views. Cheap to clone; all clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: Pool,
    query_timeout: Duration,
    /// The generation that served last; 0 before the first query.
    generation: Arc<AtomicI32>,
    positions: Positions,
}

impl Reader {
    /// A reader of the database at `database_url`. It connects when it is first asked, so that it starts while the
    /// database is down, and it watches the position from now on. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NotAnAddress`].
    pub fn new(database_url: &str, options: ReaderOptions) -> Result<Self, NotAnAddress> {
        let database: Database = database_url.parse()?;
        let settings = settings(options.query_timeout);
        let positions = Positions::watch(database.clone(), settings.clone());
        let manager = Manager::from_config(
            database.config("bookstock reader"),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let settings = settings.clone();
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager).max_size(options.pool_size.max(1)).post_create(set_up).build();
        #[allow(
            clippy::expect_used,
            reason = "building fails only for timeouts without a runtime, and none is set"
        )]
        let pool = pool.expect("a pool without timeouts can be built");
        Ok(Self { pool, query_timeout: options.query_timeout, generation: Arc::default(), positions })
    }

    /// Answers where the read models stand, when the database answers.
    ///
    /// # Errors
    /// [`ReaderError`].
    pub async fn ping(&self) -> Result<At<()>, ReaderError> {
        let standing = |_| STANDING.to_owned();
        self.ask(Question { sql: &standing, parameters: &[], kept: true }, |_| Ok(())).await
    }

    /// The position that the read models were last seen at; 0 before the first event, or while it is not known. It is
    /// watched, so that asking costs the database nothing.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.positions.current()
    }

    /// Waits until the read models are at `position` or later. Compare [`At::position`] of the answer with it as well:
    /// a database that crashed may have lost its last moments, and folds them anew.
    ///
    /// # Errors
    /// [`Behind`], with the position reached, when that takes longer than `limit`.
    pub async fn wait_for(&self, position: u64, limit: Duration) -> Result<(), Behind> {
        self.positions.wait_for(position, limit).await
    }

    pub(crate) async fn by_id<V: View>(&self, book: BookId) -> Result<At<Option<V::Row>>, ReaderError> {
        let sql = |schema: Schema| {
            format!(
                "SELECT {}, active.generation, projection.position
                 FROM bookstock.active JOIN bookstock.projection USING (generation)
                 LEFT JOIN {} AS v ON v.book_id = $1",
                V::SELECT,
                schema.table(V::NAME)
            )
        };
        let book = value::bigint(book.get());
        let question = Question { sql: &sql, parameters: &[(&book, Type::INT8)], kept: true };
        self.ask(question, |rows| found::<V>(rows).next().transpose()).await
    }

    pub(crate) async fn page<V: View, C: SortColumn>(
        &self,
        request: &PageRequest<C>,
    ) -> Result<At<Page<V::Row>>, ReaderError> {
        let order = request.order_by();
        let sql = |schema: Schema| {
            let table = schema.table(V::NAME);
            format!(
                "SELECT {}, (SELECT count(*) FROM {table}), active.generation, projection.position
                 FROM bookstock.active JOIN bookstock.projection USING (generation)
                 LEFT JOIN (SELECT * FROM {table} AS v ORDER BY {order} LIMIT $1 OFFSET $2) AS v ON true
                 ORDER BY {order}",
                V::SELECT,
            )
        };
        let (size, offset) = (i64::from(request.size), value::bigint(request.offset()));
        // Clients choose the order: a statement kept for each would cost every connection memory.
        let question =
            Question { sql: &sql, parameters: &[(&size, Type::INT8), (&offset, Type::INT8)], kept: false };
        self.ask(question, |rows| {
            let total = rows.first().map_or(Ok(0), |row| value::read_u64(row, row.len() - 3))?;
            Ok(Page { rows: found::<V>(rows).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// Puts `question` to the generation that serves. The answer's own snapshot says which one that is: if it is
    /// another than was asked, that one is asked instead.
    async fn ask<T>(
        &self,
        question: Question<'_>,
        read: impl Fn(&[Row]) -> Result<T, Unreadable>,
    ) -> Result<At<T>, ReaderError> {
        let deadline = Instant::now() + self.query_timeout;
        for _ in 0..ATTEMPTS {
            let asked = match self.generation.load(Ordering::Relaxed) {
                0 => standing(&self.run(STANDING, &[], true, deadline).await?)?.0,
                known => known,
            };
            let sql = (question.sql)(Schema::of(asked));
            let rows = match self.run(&sql, question.parameters, question.kept, deadline).await {
                Ok(rows) => rows,
                Err(ReaderError::NotSetUp(_)) => {
                    // It was dropped since it served.
                    self.generation.store(0, Ordering::Relaxed);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (generation, position) = standing(&rows)?;
            self.generation.store(generation, Ordering::Relaxed);
            if generation == asked {
                return Ok(At { value: read(&rows)?, position, generation });
            }
        }
        Err(ReaderError::Unavailable("the generation that serves keeps changing".to_owned()))
    }

    async fn run(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        kept: bool,
        deadline: Instant,
    ) -> Result<Vec<Row>, ReaderError> {
        let late = |what: &str| {
            let limit_ms = self.query_timeout.as_millis();
            ReaderError::Unavailable(format!("PostgreSQL {what} within {limit_ms} ms"))
        };
        let client = timeout_at(deadline, self.pool.get())
            .await
            .map_err(|_| late("had no connection to spare"))?
            .map_err(refused_connection)?;
        let answer = timeout_at(deadline, async {
            if kept {
                let statement = client.prepare_cached(sql).await?;
                let parameters: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
                client.query(&statement, &parameters).await
            } else {
                client.query_typed(sql, parameters).await
            }
        })
        .await;
        match answer {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                // Another query on it would wait for this one's answer first.
                drop(Object::take(client));
                Err(late("did not answer"))
            }
        }
    }
}

/// One statement, which begins with the columns of a view and ends with [`STANDING`]'s.
struct Question<'a> {
    sql: &'a (dyn Fn(Schema) -> String + Sync),
    parameters: &'a [(&'a (dyn ToSql + Sync), Type)],
    /// Whether connections keep it prepared.
    kept: bool,
}

/// Generation and position, the last two columns of any answer.
fn standing(rows: &[Row]) -> Result<(i32, u64), ReaderError> {
    let row = rows.first().ok_or_else(|| ReaderError::NotSetUp("no generation serves".to_owned()))?;
    Ok((value::read(row, row.len() - 2)?, value::read_u64(row, row.len() - 1)?))
}

/// The rows of a view in an answer: when there is none, the outer join left one without a book id.
fn found<V: View>(rows: &[Row]) -> impl Iterator<Item = Result<V::Row, Unreadable>> {
    rows.iter().filter(|row| !matches!(row.try_get::<_, Option<i64>>(0), Ok(None))).map(V::read)
}

fn refused_connection(error: PoolError) -> ReaderError {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => failed(&error),
        other => ReaderError::Unavailable(other.to_string()),
    }
}

fn failed(error: &tokio_postgres::Error) -> ReaderError {
    let reason = describe(error);
    match error.code() {
        // The control tables, the generation's tables, or the role of readers is missing.
        Some(
            &SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME | &SqlState::INVALID_PARAMETER_VALUE,
        ) => ReaderError::NotSetUp(reason),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => ReaderError::Unavailable(format!(
            "{reason}; let a superuser run once: GRANT {READER_ROLE} TO <the user of query-api>;"
        )),
        _ => ReaderError::Unavailable(reason),
    }
}

/// How a reader's connection is set up: as the role that may only read, and bounded in time on the server too.
fn settings(query_timeout: Duration) -> String {
    format!(
        "SET ROLE {READER_ROLE}; SET default_transaction_read_only = on; SET statement_timeout = {}",
        query_timeout.as_millis()
    )
}
