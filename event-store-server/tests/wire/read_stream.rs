//! `Streams.Read` of a stream.

use super::support::*;
use streams::read_req::Options;
use streams::read_req::options::stream_options::RevisionOption;
use streams::read_req::options::{CountOption, StreamOption, StreamOptions, UuidOption, uuid_option};

fn part(from: RevisionOption, backwards: bool, count: u64) -> Options {
    Options {
        stream_option: Some(StreamOption::Stream(StreamOptions {
            stream_identifier: Some(identifier("a")),
            revision_option: Some(from),
        })),
        read_direction: backwards.into(),
        count_option: Some(CountOption::Count(count)),
        ..read_options("a")
    }
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions_with_a_limit() {
    use RevisionOption::{End, Revision, Start};
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "b", any(), events([100])).await.unwrap();
    append(&mut client, "a", any(), events(0..10)).await.unwrap_err();
    append(&mut client, "a", any(), events(1..=10)).await.unwrap();
    append(&mut client, "b", any(), events([101])).await.unwrap();
    let (start, end) = (Start(Empty {}), End(Empty {}));
    #[rustfmt::skip]
    let cases: Vec<(RevisionOption, bool, u64, Vec<u128>)> = vec![
        // from        backwards count   ids
        (start,        false, u64::MAX, (1..=10).collect()),
        (start,        false, 3,        vec![1, 2, 3]),
        (Revision(7),  false, 2,        vec![8, 9]),
        (Revision(7),  false, 20,       vec![8, 9, 10]),
        (Revision(10), false, 20,       vec![]),
        (end,          false, 20,       vec![]),
        (end,          true,  u64::MAX, (1..=10).rev().collect()),
        (end,          true,  1,        vec![10]),
        (Revision(2),  true,  20,       vec![3, 2, 1]),
        (Revision(99), true,  2,        vec![10, 9]),
        (start,        true,  20,       vec![1]),
        (start,        false, 0,        vec![]),
    ];
    for (from, backwards, count, expected) in cases {
        let answers = read(&mut client, part(from, backwards, count)).await.unwrap();
        assert_eq!(ids(&answers), expected, "{from:?} {backwards} {count}");
        assert_eq!(answers.last(), Some(&Told::Last(9)), "{from:?} {backwards} {count}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_many_pages_comes_whole_in_both_directions() {
    let (_dir, server, mut client) = fresh().await;
    for batch in 0..10 {
        append(&mut client, "a", any(), events(batch * 100 + 1..=batch * 100 + 100)).await.unwrap();
    }
    let forwards = ids(&read(&mut client, read_options("a")).await.unwrap());
    assert_eq!(forwards, (1..=1_000).collect::<Vec<_>>());
    let end = RevisionOption::End(Empty {});
    let backwards = ids(&read(&mut client, part(end, true, 999)).await.unwrap());
    assert_eq!(backwards, (2..=1_000).rev().collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_never_was_is_said_to_be_missing() {
    let (_dir, server, mut client) = fresh().await;
    assert_eq!(read(&mut client, read_options("a")).await.unwrap(), [Told::NotFound("a".into())]);
    server.stop().await;
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_appended() {
    let (_dir, server, mut client) = fresh().await;
    let position = append(&mut client, "책-1", any(), vec![typed(7, "재판")]).await.unwrap().position();
    for (form, structured) in
        [(uuid_option::Content::String(Empty {}), false), (uuid_option::Content::Structured(Empty {}), true)]
    {
        let options =
            Options { uuid_option: Some(UuidOption { content: Some(form) }), ..read_options("책-1") };
        let mut answers = open(&mut client, options).await.unwrap();
        let Some(Content::Event(read)) = next(&mut answers).await.unwrap() else { panic!("an event") };
        assert_eq!(read.position, Some(streams::read_resp::read_event::Position::CommitPosition(position)));
        let event = read.event.unwrap();
        assert_eq!((event.commit_position, event.prepare_position), (position, position));
        assert_eq!(name(event.stream_identifier), "책-1");
        assert_eq!(event.metadata["type"], "재판");
        assert_eq!(event.metadata["content-type"], "application/json");
        let ticks: i64 = event.metadata["created"].parse().unwrap();
        assert!((ticks / 10 - service_kit::clock::unix_micros()).abs() < 60_000_000, "{ticks}");
        assert_eq!(event.data, "{\"n\":7}");
        assert_eq!(event.custom_metadata, "{\"by\":\"test\"}");
        let id = event.id.unwrap();
        assert_eq!(matches!(id.value, Some(shared::uuid::Value::Structured(_))), structured);
        assert_eq!(id_of(Some(id)), 7);
    }
    server.stop().await;
}
