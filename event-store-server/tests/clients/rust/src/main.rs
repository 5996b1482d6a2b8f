//! What the Rust clients `eventstore` and `kurrentdb` do to a store: `rust-clients CLIENT CONNECTION-STRING`.
#![forbid(unsafe_code)]

use anyhow::{Context as _, bail};
use std::time::Duration;

/// The clients wait for ever for what does not come.
const PATIENCE: Duration = Duration::from_secs(60);

mod with_eventstore {
    use eventstore as client;
    use eventstore::{AppendToStreamOptions, DeleteStreamOptions, ExpectedRevision as Expected};

    fn appending(expected: Expected) -> AppendToStreamOptions {
        AppendToStreamOptions::default().expected_revision(expected)
    }

    fn deleting(expected: Expected) -> DeleteStreamOptions {
        DeleteStreamOptions::default().expected_revision(expected)
    }

    fn exactly(revision: u64) -> Expected {
        Expected::Exact(revision)
    }

    include!("steps.rs");
}

mod with_kurrentdb {
    use kurrentdb as client;
    use kurrentdb::{AppendToStreamOptions, DeleteStreamOptions, StreamState as Expected};

    fn appending(expected: Expected) -> AppendToStreamOptions {
        AppendToStreamOptions::default().stream_state(expected)
    }

    fn deleting(expected: Expected) -> DeleteStreamOptions {
        DeleteStreamOptions::default().stream_state(expected)
    }

    fn exactly(revision: u64) -> Expected {
        Expected::StreamRevision(revision)
    }

    include!("steps.rs");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let client = arguments.next().context("which client?")?;
    let connection = arguments.next().context("the connection string of which store?")?;
    match client.as_str() {
        "eventstore" => tokio::time::timeout(PATIENCE, with_eventstore::all(&connection)).await??,
        "kurrentdb" => tokio::time::timeout(PATIENCE, with_kurrentdb::all(&connection)).await??,
        other => bail!("{other} is no client that is tried here"),
    }
    println!("all of it works");
    Ok(())
}
