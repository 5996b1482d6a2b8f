//! `up`: runs the whole topology until Ctrl-C.

use crate::book::{Book, Entry, State};
use crate::parts::{self, Setting};
use crate::site::{Site, book_in};
use crate::tokens::Tokens;
use crate::watch;
use anyhow::Context as _;
use bookstock::postgres::{PrivateCluster, Turn};
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether all is ready.
const PERIOD: Duration = Duration::from_millis(50);

/// Run the topology until Ctrl-C: a line for each part, and another one whenever a part changes.
#[derive(clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    site: Site,

    /// Take any free ports; topology.json in the data directory says which.
    #[arg(long)]
    free_ports: bool,

    /// Other alert rules than those that are shipped: a file, or several by a pattern.
    #[arg(long, env = "ALERT_RULES", value_name = "FILE")]
    alert_rules: Option<String>,

    #[command(flatten)]
    tokens: Tokens,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) async fn run(up: Up) -> anyhow::Result<()> {
    let shutdown =
        service_kit::shutdown::on_signal(Duration::ZERO).context("the signals to stop cannot be watched")?;
    let dir = up.site.made()?;
    let _lock = up.site.lock()?.with_context(|| {
        format!("another topology runs in {}; stop it, or choose another --data-dir", dir.display())
    })?;
    let login = up.tokens.login(&dir).await?;
    let book = Rc::new(Book::new(book_in(&dir)));
    book.close();
    let cluster = PrivateCluster::start(&dir).await?;
    let setting = Setting {
        dir: &dir,
        database_url: cluster.url(),
        read_database_url: cluster.read_url(),
        free_ports: up.free_ports,
        alert_rules: up.alert_rules,
        tokens: up.tokens.environment(),
        login,
    };
    let postgres = Postgres { address: cluster.url(), book: Rc::clone(&book) };
    postgres.is(State::Ready, "");
    let parts = match parts::of(&setting) {
        Ok(parts) => parts,
        Err(error) => {
            cluster.stop().await;
            book.close();
            return Err(error);
        }
    };
    let count = parts.len() + 1;
    let gateway = parts.iter().find(|part| part.name == "gateway").map(|part| part.addr);

    let local = LocalSet::new();
    let stop_store = CancellationToken::new();
    let postgres =
        local.spawn_local(cluster.keep_running(stop_store.clone(), move |turn| postgres.took(&turn)));
    let mut event_store = JoinSet::new();
    let mut others = JoinSet::new();
    for part in parts {
        let (set, stop) = match part.name.as_str() {
            "event-store" => (&mut event_store, stop_store.clone()),
            _ => (&mut others, shutdown.clone()),
        };
        let (book, dir) = (Rc::clone(&book), dir.clone());
        set.spawn_local_on(async move { watch::keep_running(part, &dir, &book, stop).await }, &local);
    }
    local
        .run_until(async {
            let all_ready = async {
                while !book.all_ready(count) {
                    tokio::time::sleep(PERIOD).await;
                }
            };
            if shutdown.run_until_cancelled(all_ready).await.is_some() {
                greet(gateway);
            }
            shutdown.cancelled().await;
            while others.join_next().await.is_some() {}
            // Those who write have stopped.
            stop_store.cancel();
            while event_store.join_next().await.is_some() {}
            let _ = postgres.await;
        })
        .await;
    book.close();
    Ok(())
}

/// What the book says of PostgreSQL.
struct Postgres {
    address: String,
    book: Rc<Book>,
}

impl Postgres {
    fn took(&self, turn: &Turn<'_>) {
        match turn {
            Turn::Ended(how) => self.is(State::Ended, &format!("{how}; postgres.log says why")),
            Turn::NotBack(error) => self.is(State::NotReady, &error.to_string()),
            Turn::Back => self.is(State::Ready, "again"),
        }
    }

    fn is(&self, state: State, why: &str) {
        self.book.note("postgresql", Entry { address: self.address.clone(), pid: None, state }, why);
    }
}

fn greet(gateway: Option<std::net::SocketAddr>) {
    if let Some(addr) = gateway {
        let _ = writeln!(
            std::io::stdout(),
            "\nAll parts are ready: http://{addr}\n\
             Restart every service under load: cargo xtask topology roll. Ctrl-C stops everything.\n"
        );
    }
}
