//! The threads of a process that has an event store.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// The variable that sets another number of threads.
const THREADS: &str = "TOKIO_WORKER_THREADS";

/// What runs the calls: a thread for each core but one, which is the log writer's, or as many as `TOKIO_WORKER_THREADS`
/// says. More would only wake each other: a call goes through several tasks, and then each may be another thread's.
///
/// # Errors
/// When the threads cannot be started.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if std::env::var_os(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads(cores.saturating_sub(1).max(1));
    }
    builder.enable_all().build()
}
