//! Keeps one part running: what ends is started again, and what hangs is killed, as an orchestrator does it.

use crate::book::{Book, Entry, State};
use crate::part::Part;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How often a part is asked how it is, and how long its answer may take.
const PERIOD: Duration = Duration::from_millis(500);
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// After so many failures in a row a part that has lived is taken for dead and killed; one that has not yet, after so long.
const HANGS_AFTER: u32 = 5;
const LIVES_WITHIN: Duration = Duration::from_secs(60);

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
    let started = Instant::now();
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
        if answers(part, &client, part.signs.ready).await {
            (lived, failures) = (true, 0);
            note(part, pid, State::Ready, book, "");
        } else if answers(part, &client, part.signs.alive).await {
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
        } else if started.elapsed() > LIVES_WITHIN {
            note(part, pid, State::NotReady, book, "it never answered");
            let _ = child.start_kill();
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

async fn answers(part: &Part, client: &Client, path: &str) -> bool {
    let asked = client.get(format!("http://{}{path}", part.addr)).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

fn note(part: &Part, pid: Option<u32>, state: State, book: &Book, why: &str) {
    book.note(&part.name, Entry { address: part.url.clone(), pid, state }, why);
}
