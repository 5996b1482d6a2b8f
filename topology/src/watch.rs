//! Keeps one part running: what ends is started again, and what hangs is killed, as an orchestrator does it.

use crate::book::{Book, Entry, State};
use crate::part::{Part, Signs};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How often a part is asked how it is, and how long its answer may take.
const PERIOD: Duration = Duration::from_millis(500);
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// After so many failures in a row a part that has lived is taken for dead and killed.
const HANGS_AFTER: u32 = 5;

/// How long to wait before a part is started again, and how long it may take to stop.
const PAUSE: Duration = Duration::from_millis(300);
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// Runs `part` until `stop`, and starts it again whenever it ends before.
pub(crate) async fn keep_running(part: Part, dir: &Path, book: &Book, stop: CancellationToken) {
    let mut why = "";
    while !stop.is_cancelled() {
        let spawned =
            part.command(dir).map(tokio::process::Command::from).and_then(|mut command| command.spawn());
        let how = match spawned {
            Ok(child) => watch(&part, child, book, &stop, why).await,
            Err(error) => format!("it cannot be started: {error}"),
        };
        if stop.is_cancelled() {
            return;
        }
        note(&part, None, State::Ended, book, &format!("{how}; logs/{}.log says why", part.name));
        why = "again";
        let _ = timeout(PAUSE, stop.cancelled()).await;
    }
}

/// Looks after one process until it has ended, and says how it did.
async fn watch(part: &Part, mut child: Child, book: &Book, stop: &CancellationToken, why: &str) -> String {
    let pid = child.id();
    note(part, pid, State::Starting, book, why);
    let Ok(client) = Client::builder().timeout(ANSWERS_WITHIN).no_proxy().build() else {
        return "it cannot be asked how it is".to_owned();
    };
    let (mut lived, mut failures) = (false, 0);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = child.wait() => return ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
            () = stop.cancelled() => {
                end(child).await;
                return "stopped".to_owned();
            }
            _ = ticks.tick() => {}
        }
        if is_ready(part, &client).await {
            (lived, failures) = (true, 0);
            note(part, pid, State::Ready, book, "");
        } else if is_alive(part, &client).await {
            if lived {
                note(part, pid, State::NotReady, book, "");
            }
            (lived, failures) = (true, 0);
        } else if lived {
            failures += 1;
            note(part, pid, State::NotReady, book, "it does not answer");
            if failures == HANGS_AFTER {
                let _ = child.start_kill();
            }
        }
    }
}

/// Tells it to stop, and ends it if it does not.
async fn end(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if timeout(STOPS_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

async fn is_ready(part: &Part, client: &Client) -> bool {
    match part.signs {
        Signs::Http { ready, .. } => answers(part, client, ready).await,
        Signs::Door => timeout(ANSWERS_WITHIN, tokio::net::TcpStream::connect(part.addr))
            .await
            .is_ok_and(|connected| connected.is_ok()),
    }
}

async fn is_alive(part: &Part, client: &Client) -> bool {
    match part.signs {
        Signs::Http { alive, .. } => answers(part, client, alive).await,
        Signs::Door => false,
    }
}

async fn answers(part: &Part, client: &Client, path: &str) -> bool {
    let asked = client.get(format!("http://{}{path}", part.addr)).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

fn note(part: &Part, pid: Option<u32>, state: State, book: &Book, why: &str) {
    let address = match part.signs {
        Signs::Http { .. } => format!("http://{}", part.addr),
        Signs::Door => format!("esdb://{}?tls=false", part.addr),
    };
    book.note(&part.name, Entry { address, pid, state }, why);
}
