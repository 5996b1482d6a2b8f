//! PostgreSQL: its address, one connection of our own to it, and what can go wrong.

use crate::value::Unreadable;
use deadpool_postgres::ClientWrapper;
use futures_util::{StreamExt as _, stream};
use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, NoTls};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a network may swallow what is sent before the connection counts as lost.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// A timer that is so late says that this process was stopped for a while, by Ctrl-Z for instance.
const STOOD_STILL: Duration = Duration::from_millis(100);

/// The address of a PostgreSQL database, `postgres://user:password@host:port/name`. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    config: tokio_postgres::Config,
}

/// The text is no address of a database.
#[derive(Debug, thiserror::Error)]
#[error("the database address is not like postgres://user:password@host:5432/name: {0}")]
pub struct NotAnAddress(String);

/// Why PostgreSQL did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No answer in time: it hangs, or the network does.
    #[error("PostgreSQL did not answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    /// It was not reached, the connection was lost, or it refused the statement.
    #[error("PostgreSQL: {}", describe(.0))]
    Failed(#[from] tokio_postgres::Error),
    /// It answered what no view wrote.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No generation serves where one has to.
    #[error("no generation of the read models serves")]
    NoGeneration,
}

impl DatabaseError {
    /// The code that PostgreSQL gave, if it was PostgreSQL that spoke.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Failed(error) => error.code(),
            Self::NoAnswer(_) | Self::Unreadable(_) | Self::NoGeneration => None,
        }
    }

    /// Whether somebody else was in the way, so that nothing was done and the same may be done later.
    #[must_use]
    pub fn is_contention(&self) -> bool {
        let codes = [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED];
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Whether a row that was to be written is there already, of something else.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.code() == Some(&SqlState::UNIQUE_VIOLATION)
    }
}

/// An error of PostgreSQL with all its causes: its own text leaves them out.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = deeper.source();
    }
    text
}

impl FromStr for Database {
    type Err = NotAnAddress;

    fn from_str(url: &str) -> Result<Self, NotAnAddress> {
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error| NotAnAddress(describe(&error)))?;
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(TCP_TIMEOUT);
        Ok(Self { config })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Database")
            .field("hosts", &self.config.get_hosts())
            .field("name", &self.config.get_dbname())
            .field("user", &self.config.get_user())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// How it is connected to. `name` is what PostgreSQL shows of us in `pg_stat_activity`.
    pub(crate) fn config(&self, name: &str) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        config.application_name(name);
        config
    }

    /// Opens a connection and sets it up with the statements `settings`.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn connect(&self, name: &str, settings: &str) -> Result<Connection, DatabaseError> {
        let config = self.config(name);
        let connecting = async { Ok(config.connect(NoTls).await?) };
        // PostgreSQL's own connect timeout ends when the socket is open, which it is even when the server is frozen.
        let (client, mut wire) = within(CONNECT_TIMEOUT, connecting).await?;
        let notified = Arc::new(Notify::new());
        let wake = Arc::clone(&notified);
        let driver = tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |context| wire.poll_message(context));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => wake.notify_one(),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(error = describe(&error), "a connection to PostgreSQL was lost");
                        break;
                    }
                }
            }
            // Whoever waits for a notification finds the connection closed.
            wake.notify_one();
        });
        let connection = Connection { client: ClientWrapper::new(client, driver), notified };
        within(CONNECT_TIMEOUT, async { Ok(connection.client.batch_execute(settings).await?) }).await?;
        Ok(connection)
    }
}

/// One connection of our own. Dropping it closes it, and rolls back what was not committed.
#[derive(Debug)]
pub struct Connection {
    pub(crate) client: ClientWrapper,
    notified: Arc<Notify>,
}

impl Connection {
    /// Waits for a notification on any channel that was listened to. Those that come while nobody waits count as one.
    /// It returns also when the connection is lost.
    pub async fn notified(&self) {
        self.notified.notified().await;
    }

    /// The process of the server that works for this connection.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn backend(&self) -> Result<i32, DatabaseError> {
        let asked = async { Ok(self.client.query_one("SELECT pg_backend_pid()", &[]).await?) };
        Ok(within(CONNECT_TIMEOUT, asked).await?.try_get(0)?)
    }

    /// Asks PostgreSQL to give up the statement under way, which would go on though nobody waits for it any more.
    pub async fn cancel(&self) {
        // A statement that was not reached ends some day.
        let _ = timeout(CONNECT_TIMEOUT, self.client.cancel_token().cancel_query(NoTls)).await;
    }

    /// Listens to a channel of notifications.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn listen(&self, channel: &'static str) -> Result<(), DatabaseError> {
        let listening = async { Ok(self.client.batch_execute(&format!("LISTEN {channel}")).await?) };
        within(CONNECT_TIMEOUT, listening).await
    }
}

/// Awaits an answer for so long, and no longer: a frozen server keeps its connections open for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let mut answer = pin!(answer);
    loop {
        let began = Instant::now();
        match timeout(limit, &mut answer).await {
            Ok(answer) => return answer,
            // It was this process that stood still: what came meanwhile is still to be looked at.
            Err(_) if began.elapsed() > limit + STOOD_STILL => {}
            Err(_) => return Err(DatabaseError::NoAnswer(limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let database: Database = "postgres://bookstock:secret@db.example:5432/books".parse().unwrap();
        let shown = format!("{database:?}");
        assert!(shown.contains("bookstock") && shown.contains("books"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn an_address_of_something_else_is_refused() {
        let error = "mysql://localhost".parse::<Database>().unwrap_err();
        assert!(error.to_string().starts_with("the database address is not like postgres://"), "{error}");
    }
    #[tokio::test(start_paused = true)]
    async fn an_answer_has_so_long_and_once_more_so_long_if_it_was_this_process_that_stood_still() {
        let limit = Duration::from_secs(2);
        let answer = |after| {
            within(limit, async move {
                tokio::time::sleep(after).await;
                Ok(())
            })
        };
        assert!(answer(Duration::from_secs(1)).await.is_ok());
        assert!(matches!(answer(Duration::from_secs(3)).await, Err(DatabaseError::NoAnswer(_))));

        let (sender, answer) = tokio::sync::oneshot::channel();
        let asked = tokio::spawn(within(limit, async move { Ok(answer.await.unwrap_or_default()) }));
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(30)).await;
        tokio::task::yield_now().await;
        sender.send(7).unwrap();
        assert_eq!(asked.await.unwrap().unwrap(), 7);
    }
}
