//! Clients that ask for much and read nothing.

use super::support::*;
use event_store_server::Limits;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;
use tonic::Code;

/// All that may wait to be read in these tests, in bytes; a connection may have a quarter.
const UNREAD: usize = 8 << 20;

fn large(id: u128) -> Vec<Event> {
    vec![Event { data: vec![b'x'; 500_000], ..event(id) }]
}

async fn with_large_events(patience: Duration) -> (tempfile::TempDir, Server, Client) {
    let limits = Limits { max_unread_bytes: UNREAD, silence: patience, ..Limits::default() };
    let (dir, server, mut client) = fresh_with(limits).await;
    for id in 1..=20 {
        append(&mut client, "a", any(), large(id)).await.unwrap();
    }
    (dir, server, client)
}

/// So many reads and as many subscriptions, of which nobody reads anything.
async fn idle_calls(client: &Client, count: usize) -> Vec<tonic::Streaming<streams::ReadResp>> {
    let mut calls = Vec::new();
    for _ in 0..count {
        calls.push(open(&mut client.clone(), all_options()).await.unwrap());
        calls.push(open(&mut client.clone(), subscription(read_options("a"))).await.unwrap());
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_reads_nothing_takes_no_more_than_its_share_and_others_notice_nothing() {
    let (_dir, server, mut client) = with_large_events(Duration::from_millis(500)).await;
    let greedy = server.client().await;
    let mut calls = idle_calls(&greedy, 50).await;
    let all: Vec<_> = (1..=20).collect();
    for _ in 0..3 {
        assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), all);
    }
    // Its calls for which it has left no room end with a word on why: here a read that was told nothing yet.
    let late = calls.len() - 2;
    let status = next(&mut calls[late]).await.expect_err("there is no room for its first page");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("do not read"), "{status}");
    drop(calls);
    let read_again = async { while read(&mut greedy.clone(), all_options()).await.is_err() {} };
    tokio::time::timeout(PATIENCE, read_again).await.expect("what it had is free again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_read_nothing_make_room_for_others_and_are_told_why() {
    let (_dir, server, mut client) = with_large_events(Duration::from_secs(2)).await;
    let mut greedy = Vec::new();
    // More than there is room for, also where each has less than its share.
    for _ in 0..8 {
        let client = server.client().await;
        greedy.push((idle_calls(&client, 4).await, client));
    }
    let all: Vec<_> = (1..=20).collect();
    for _ in 0..3 {
        assert_eq!(ids(&read(&mut client, all_options()).await.expect("there is room for it")), all);
    }
    append(&mut client, "b", any(), events([100])).await.expect("appends need nothing of it");

    let mut ends: FuturesUnordered<_> = greedy
        .into_iter()
        .flat_map(|(calls, _)| calls)
        .map(|mut call| async move {
            loop {
                match call.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => return Some(status),
                }
            }
        })
        .collect();
    let told = async {
        loop {
            if let Some(status) = ends.next().await.expect("one of them is told") {
                // Who does not take even that in time loses the connection.
                let is_cut = std::error::Error::source(&status).is_some();
                if is_cut || status.message().contains("others need their memory") {
                    break (is_cut, status);
                }
            }
        }
    };
    let (is_cut, status) = tokio::time::timeout(PATIENCE, told).await.expect("it ends");
    assert!(is_cut || status.code() == Code::Unavailable, "{status}");
    server.stop().await;
}
