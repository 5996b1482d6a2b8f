//! `Streams.Read` as a subscription.

use super::support::*;
use streams::read_req::Options;
use streams::read_req::options::all_options::AllOption;
use streams::read_req::options::filter_options::{Expression, Filter, Window};
use streams::read_req::options::stream_options::RevisionOption;
use streams::read_req::options::{
    AllOptions, FilterOption, FilterOptions, Position, StreamOption, StreamOptions,
};
use tonic::Streaming;

fn to_stream(from: RevisionOption) -> Options {
    subscription(Options {
        stream_option: Some(StreamOption::Stream(StreamOptions {
            stream_identifier: Some(identifier("a")),
            revision_option: Some(from),
        })),
        ..read_options("a")
    })
}

fn to_all(from: AllOption) -> Options {
    subscription(Options {
        stream_option: Some(StreamOption::All(AllOptions { all_option: Some(from) })),
        ..all_options()
    })
}

fn at(position: u64) -> AllOption {
    AllOption::Position(Position { commit_position: position, prepare_position: position })
}

fn filtered(options: Options, filter: Filter, window: Window, multiplier: u32) -> Options {
    let filter = FilterOptions {
        filter: Some(filter),
        window: Some(window),
        checkpoint_interval_multiplier: multiplier,
    };
    Options { filter_option: Some(FilterOption::Filter(filter)), ..options }
}

fn prefixes(prefixes: &[&str]) -> Expression {
    Expression { regex: String::new(), prefix: prefixes.iter().map(ToString::to_string).collect() }
}

fn regex(regex: &str) -> Expression {
    Expression { regex: regex.into(), prefix: vec!["ignored beside a regex".into()] }
}

async fn take(answers: &mut Streaming<streams::ReadResp>, count: usize) -> Vec<Told> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(told(next(answers).await.unwrap().expect("a subscription does not end")));
    }
    taken
}

fn in_stream(revision: u64, id: u128) -> Told {
    Told::Event("a".into(), revision, id)
}

#[tokio::test]
async fn a_subscription_to_a_stream_catches_up_and_goes_live() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1, 2, 3])).await.unwrap();

    let mut from_start = open(&mut client, to_stream(RevisionOption::Start(Empty {}))).await.unwrap();
    let caught_up = [Told::Confirmed, in_stream(0, 1), in_stream(1, 2), in_stream(2, 3), Told::CaughtUp];
    assert_eq!(take(&mut from_start, 5).await, caught_up);
    let mut after_0 = open(&mut client, to_stream(RevisionOption::Revision(0))).await.unwrap();
    assert_eq!(
        take(&mut after_0, 4).await,
        [Told::Confirmed, in_stream(1, 2), in_stream(2, 3), Told::CaughtUp]
    );
    let mut from_end = open(&mut client, to_stream(RevisionOption::End(Empty {}))).await.unwrap();
    assert_eq!(take(&mut from_end, 2).await, [Told::Confirmed, Told::CaughtUp]);

    append(&mut client, "b", any(), events([8])).await.unwrap();
    append(&mut client, "a", any(), events([4])).await.unwrap();
    append(&mut client, "a", any(), events([5])).await.unwrap();
    for subscription in [&mut from_start, &mut after_0, &mut from_end] {
        assert_eq!(take(subscription, 2).await, [in_stream(3, 4), in_stream(4, 5)]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_that_fell_behind_says_again_when_it_has_caught_up() {
    let (_dir, server, mut client) = fresh().await;
    let mut to_stream = open(&mut client, to_stream(RevisionOption::Start(Empty {}))).await.unwrap();
    let mut to_all = open(&mut client, to_all(AllOption::Start(Empty {}))).await.unwrap();
    for subscription in [&mut to_stream, &mut to_all] {
        assert_eq!(take(subscription, 2).await, [Told::Confirmed, Told::CaughtUp]);
    }
    // More than a page in one commit: a subscription cannot see them all and still be live.
    append(&mut client, "a", any(), events(1..=300)).await.unwrap();
    for subscription in [&mut to_stream, &mut to_all] {
        let answers = take(subscription, 301).await;
        assert_eq!(ids(&answers), (1..=300).collect::<Vec<_>>());
        assert_eq!(answers.last(), Some(&Told::CaughtUp));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_waits_for_a_stream_that_is_not_there_yet() {
    let (_dir, server, mut client) = fresh().await;
    let mut early = open(&mut client, to_stream(RevisionOption::Start(Empty {}))).await.unwrap();
    assert_eq!(take(&mut early, 2).await, [Told::Confirmed, Told::CaughtUp]);
    append(&mut client, "a", any(), events([1])).await.unwrap();
    assert_eq!(take(&mut early, 1).await, [in_stream(0, 1)]);
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_to_all_begins_after_its_position() {
    let (_dir, server, mut client) = fresh().await;
    let first = append(&mut client, "a", any(), events([1])).await.unwrap().position();
    append(&mut client, "a", any(), events([2])).await.unwrap();

    let mut from_start = open(&mut client, to_all(AllOption::Start(Empty {}))).await.unwrap();
    assert_eq!(
        take(&mut from_start, 4).await,
        [Told::Confirmed, in_stream(0, 1), in_stream(1, 2), Told::CaughtUp]
    );
    let mut after_first = open(&mut client, to_all(at(first))).await.unwrap();
    assert_eq!(take(&mut after_first, 3).await, [Told::Confirmed, in_stream(1, 2), Told::CaughtUp]);
    let mut from_end = open(&mut client, to_all(AllOption::End(Empty {}))).await.unwrap();
    assert_eq!(take(&mut from_end, 2).await, [Told::Confirmed, Told::CaughtUp]);
    append(&mut client, "a", any(), events([3])).await.unwrap();
    for subscription in [&mut from_start, &mut after_first, &mut from_end] {
        assert_eq!(take(subscription, 1).await, [in_stream(2, 3)]);
    }
    server.stop().await;
}

#[tokio::test]
async fn no_event_is_missed_or_doubled_while_others_write() {
    let (_dir, server, client) = fresh().await;
    let writers: Vec<_> = (0..4_u128)
        .map(|writer| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for turn in 0..100 {
                    append(&mut client, "a", any(), events([1 + writer * 1_000 + turn])).await.unwrap();
                }
            })
        })
        .collect();
    let mut client = client;
    let mut subscription = open(&mut client, to_all(AllOption::Start(Empty {}))).await.unwrap();
    let (mut seen, mut revisions, mut switches) = (Vec::new(), Vec::new(), 0);
    while seen.len() < 400 {
        match told(next(&mut subscription).await.unwrap().unwrap()) {
            Told::Event(_, revision, id) => {
                revisions.push(revision);
                seen.push(id);
            }
            Told::CaughtUp => switches += 1,
            Told::Confirmed => {}
            other => panic!("{other:?}"),
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(revisions, (0..400).collect::<Vec<_>>());
    assert_eq!(seen, ids(&read(&mut client, all_options()).await.unwrap()));
    assert!(switches <= 2, "caught up once, or once more at the very end: {switches}");
    server.stop().await;
}

#[tokio::test]
async fn filters_choose_by_stream_and_by_type_with_prefixes_and_regexes() {
    let (_dir, server, mut client) = fresh().await;
    for (stream, event) in [
        ("book-1", typed(1, "Warehoused")),
        ("book-2", typed(2, "Renewed")),
        ("user-1", typed(3, "Renewed")),
        ("$$book-1", typed(4, "$metadata")),
        ("notebook-1", typed(5, "Shared")),
    ] {
        append(&mut client, stream, any(), vec![event]).await.unwrap();
    }
    let cases: Vec<(Filter, Vec<u128>)> = vec![
        (Filter::StreamIdentifier(prefixes(&["book-"])), vec![1, 2]),
        (Filter::StreamIdentifier(prefixes(&["book-", "user-"])), vec![1, 2, 3]),
        (Filter::StreamIdentifier(regex("^book-[1-9][0-9]*$")), vec![1, 2]),
        (Filter::StreamIdentifier(regex("book-1")), vec![1, 4, 5]),
        (Filter::EventType(prefixes(&["Renew"])), vec![2, 3]),
        (Filter::EventType(prefixes(&["Ware", "$"])), vec![1, 4]),
        (Filter::EventType(regex(r"^[^\$].*ed$")), vec![1, 2, 3, 5]),
    ];
    for (filter, expected) in cases {
        let options = filtered(to_all(AllOption::Start(Empty {})), filter.clone(), Window::Max(100), 1);
        let mut subscription = open(&mut client, options).await.unwrap();
        let answers = take(&mut subscription, expected.len() + 3).await;
        assert_eq!(ids(&answers), expected, "{filter:?}");
        assert_eq!(answers[expected.len() + 1..], [Told::Checkpoint(5), Told::CaughtUp], "{filter:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn checkpoints_come_after_each_window_and_when_the_subscription_goes_live() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "other", any(), events(1..=25)).await.unwrap();
    let books = || Filter::StreamIdentifier(prefixes(&["book-"]));
    let start = || to_all(AllOption::Start(Empty {}));

    let mut by_ten = open(&mut client, filtered(start(), books(), Window::Max(5), 2)).await.unwrap();
    let checkpoints = [10, 20, 25].map(Told::Checkpoint);
    assert_eq!(take(&mut by_ten, 1).await, [Told::Confirmed]);
    assert_eq!(take(&mut by_ten, 3).await, checkpoints);
    assert_eq!(take(&mut by_ten, 1).await, [Told::CaughtUp]);

    // Live, the count goes on: ten more events that do not match, then one that does, then the rest of a window.
    append(&mut client, "other", any(), events(26..=35)).await.unwrap();
    assert_eq!(take(&mut by_ten, 1).await, [Told::Checkpoint(35)]);
    append(&mut client, "book-1", any(), events([36])).await.unwrap();
    assert_eq!(take(&mut by_ten, 1).await, [Told::Event("book-1".into(), 0, 36)]);
    append(&mut client, "other", any(), events(37..=45)).await.unwrap();
    assert_eq!(take(&mut by_ten, 1).await, [Told::Checkpoint(45)]);

    let mut by_default =
        open(&mut client, filtered(start(), books(), Window::Count(Empty {}), 1)).await.unwrap();
    let book = Told::Event("book-1".into(), 0, 36);
    assert_eq!(
        take(&mut by_default, 5).await,
        [Told::Confirmed, Told::Checkpoint(32), book, Told::Checkpoint(45), Told::CaughtUp]
    );

    // Resumed at the checkpoint: there is nothing new to tell, so there is no checkpoint either.
    let resumed = filtered(to_all(at(45)), books(), Window::Max(5), 2);
    let mut resumed = open(&mut client, resumed).await.unwrap();
    assert_eq!(take(&mut resumed, 2).await, [Told::Confirmed, Told::CaughtUp]);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up_and_gets_everything_later() {
    let (_dir, server, mut client) = fresh().await;
    let mut lazy_client = server.client().await;
    let mut lazy = open(&mut lazy_client, to_all(AllOption::Start(Empty {}))).await.unwrap();
    let large = |id| Event { data: vec![b'x'; 100_000], ..event(id) };
    for id in 1..=100 {
        append(&mut client, "a", any(), vec![large(id)]).await.unwrap();
    }
    let mut quick = open(&mut client, to_all(AllOption::Start(Empty {}))).await.unwrap();
    let expected: Vec<_> = (1..=100).collect();
    assert_eq!(ids(&take(&mut quick, 101).await), expected);
    let mut seen = Vec::new();
    while seen.len() < 100 {
        seen.extend(ids(&take(&mut lazy, 1).await));
    }
    assert_eq!(seen, expected);
    server.stop().await;
}
