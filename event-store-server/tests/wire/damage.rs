//! Events that are lost: whoever reads where they were is told so.

use super::operations::run;
use super::process::Process;
use super::support::*;
use tonic::{Code, Status};

/// How a subscription to the stream ends.
async fn end_of_subscription(client: &mut Client) -> Status {
    let mut answers = open(client, subscription(read_options("a"))).await.unwrap();
    loop {
        if let Err(status) = next(&mut answers).await {
            break status;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_stream_has_lost_is_told_wherever_a_page_ends() {
    // Pages have 256 events: the first of the second page, in either direction, one amid a page, and the stream's first.
    for lost in [256, 600 - 257, 300, 0] {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::start(dir.path());
        let mut caller = client(process.addr).await;
        for batch in 0..6 {
            append(&mut caller, "a", any(), events(batch * 100 + 1..=batch * 100 + 100)).await.unwrap();
        }
        drop(process);
        // The index of the stream is found damaged at the start; so both, the event and its place in the index, are lost.
        let database = rusqlite::Connection::open(dir.path().join("events.sqlite")).unwrap();
        assert_eq!(database.execute("DELETE FROM events WHERE revision = ?1", [lost]).unwrap(), 1);
        drop(database);

        let process = Process::start(dir.path());
        let mut caller = client(process.addr).await;
        let told = [
            read(&mut caller, read_options("a")).await.unwrap_err(),
            read(&mut caller, stream_backwards("a")).await.unwrap_err(),
            end_of_subscription(&mut caller).await,
            read(&mut caller, all_options()).await.unwrap_err(),
            read(&mut caller, backwards_from_the_end()).await.unwrap_err(),
        ];
        for status in told {
            assert_eq!(status.code(), Code::DataLoss, "{lost}: {status}");
            assert!(status.message().contains("missing"), "{lost}: {status}");
        }
        let (succeeded, said) = run(&["check"], dir.path());
        let place = format!("Event {} of stream 'a' at position {} does not follow", lost + 1, lost + 2);
        assert!(!succeeded && (lost == 0 || said.contains(&place)), "{said}");
        let positions = format!("The events at positions {0} to {0} are missing", lost + 1);
        assert!(said.contains(&positions), "{said}");
        drop(process);
        let (succeeded, said) = run(&["scavenge"], dir.path());
        assert!(
            !succeeded && said.contains("are missing"),
            "what is lost is not taken for scavenged: {said}"
        );
    }
}
