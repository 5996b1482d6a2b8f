//! `Streams.Read` of `$all`.

use super::support::*;
use streams::read_req::Options;
use streams::read_req::options::all_options::AllOption;
use streams::read_req::options::filter_options::{Expression, Filter, Window};
use streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, Position, StreamOption,
};
use tonic::Code;

fn part(from: AllOption, backwards: bool, count: u64) -> Options {
    Options {
        stream_option: Some(StreamOption::All(AllOptions { all_option: Some(from) })),
        read_direction: backwards.into(),
        count_option: Some(CountOption::Count(count)),
        ..all_options()
    }
}

fn at(position: u64) -> AllOption {
    AllOption::Position(Position { commit_position: position, prepare_position: position })
}

#[tokio::test]
async fn all_events_come_in_the_order_of_their_commits() {
    let (_dir, server, client) = fresh().await;
    let writers = (0..8_u128).map(|writer| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let mut positions = Vec::new();
            let stream = format!("s-{writer}");
            for id in (1 + writer * 100..).take(25) {
                let answer = append(&mut client, &stream, any(), events([id])).await.unwrap();
                positions.push((id, answer.position()));
            }
            positions
        })
    });
    let mut written = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        written.extend(writer.await.unwrap());
    }
    written.sort_by_key(|(_, position)| *position);
    let order: Vec<_> = written.iter().map(|(id, _)| *id).collect();
    let mut client = client;
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), order);
    let backwards = read(&mut client, part(AllOption::End(Empty {}), true, u64::MAX)).await.unwrap();
    assert_eq!(ids(&backwards), order.into_iter().rev().collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_position_is_inclusive_forwards_and_exclusive_backwards() {
    let (_dir, server, mut client) = fresh().await;
    let mut positions = Vec::new();
    for id in 1..=10 {
        positions.push(append(&mut client, "a", any(), events([id])).await.unwrap().position());
    }
    let (start, end) = (AllOption::Start(Empty {}), AllOption::End(Empty {}));
    #[rustfmt::skip]
    let cases: Vec<(AllOption, bool, u64, Vec<u128>)> = vec![
        (at(positions[6]), false, 2,        vec![7, 8]),
        (at(positions[6]), true,  2,        vec![6, 5]),
        (at(u64::MAX),     true,  2,        vec![10, 9]),
        (at(0),            false, 2,        vec![1, 2]),
        (at(0),            true,  2,        vec![]),
        (start,            false, 4,        vec![1, 2, 3, 4]),
        (start,            true,  4,        vec![]),
        (end,              false, 4,        vec![]),
        (end,              true,  4,        vec![10, 9, 8, 7]),
        (at(positions[9] + 5_000), false, 4, vec![]),
    ];
    for (from, backwards, count, expected) in cases {
        let answers = read(&mut client, part(from, backwards, count)).await.unwrap();
        assert_eq!(ids(&answers), expected, "{from:?} {backwards} {count}");
        assert_eq!(answers.len(), expected.len(), "nothing but events: {answers:?}");
    }
    let error = read(&mut client, part(at(u64::MAX - 1), false, 1)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "Trying to read from an invalid position.")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_filter_holds_for_reads_too() {
    let (_dir, server, mut client) = fresh().await;
    for id in 1..=2_000_u128 {
        let stream = if id % 500 == 0 { "book-1" } else { "other-1" };
        append(&mut client, stream, any(), events([id])).await.unwrap();
    }
    let prefix = Expression { regex: String::new(), prefix: vec!["book-".into()] };
    let filter = FilterOption::Filter(FilterOptions {
        filter: Some(Filter::StreamIdentifier(prefix)),
        window: Some(Window::Max(32)),
        // Only subscriptions need it, so a client may not set it.
        checkpoint_interval_multiplier: 0,
    });
    let options = Options { filter_option: Some(filter), ..all_options() };
    assert_eq!(ids(&read(&mut client, options.clone()).await.unwrap()), [500, 1_000, 1_500, 2_000]);
    let two = Options { count_option: Some(CountOption::Count(2)), ..options };
    assert_eq!(ids(&read(&mut client, two).await.unwrap()), [500, 1_000]);
    server.stop().await;
}
