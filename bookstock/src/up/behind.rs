//! Threads for those who only look. In one process they would take from commands whatever they can get; so they get little
//! of a processor that the threads for commands, events and views want, too.

use anyhow::Context as _;
use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How far they stand behind the other threads: where both want all of a processor, these get a tenth of it.
const BEHIND: i32 = 10;

/// The threads, as long as this is there.
pub(super) struct Behind {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Behind {
    /// Starts as many as there are processors.
    pub(super) fn start() -> anyhow::Result<Self> {
        // To Linux, the calling process is the calling thread.
        let place = getpriority_process(None).context("the priority of this process is not told")? + BEHIND;
        let step_back = move || {
            if let Err(error) = setpriority_process(None, place) {
                tracing::warn!(%error, "queries are served with the priority of commands");
            }
        };
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("queries")
            .on_thread_start(step_back)
            .build()
            .context("the threads for queries cannot be started")?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Runs it on them.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whatever still runs has had its time to stop; it is not waited for here, among futures.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_they_run_stands_behind_the_rest() {
        let ours = getpriority_process(None).unwrap();
        let threads = Behind::start().unwrap();
        let theirs = threads.handle.spawn(async { getpriority_process(None).unwrap() });
        // There is no lower place than 19.
        assert_eq!(theirs.await.unwrap(), (ours + BEHIND).min(19));
        assert_eq!(getpriority_process(None).unwrap(), ours);
    }
}
