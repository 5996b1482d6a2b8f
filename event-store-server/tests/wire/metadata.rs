//! Stream metadata: what `$$stream` hides from readers.

use super::support::Answer::Written;
use super::support::*;
use streams::read_req::Options;
use streams::read_req::options::stream_options::RevisionOption;
use streams::read_req::options::{CountOption, StreamOption, StreamOptions};

#[tokio::test]
async fn a_metadata_stream_shows_only_its_last_event() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "$$a", no_stream(), metadata(1, "{}")).await.unwrap();
    append(&mut client, "$$a", exact(0), metadata(2, "{}")).await.unwrap();
    let answers = read(&mut client, read_options("$$a")).await.unwrap();
    assert_eq!(answers, [Told::Event("$$a".into(), 1, 2), Told::Last(1)]);
    let all = ids(&read(&mut client, all_options()).await.unwrap());
    assert_eq!(all, [1, 2], "$all shows them still");
    assert_eq!(read(&mut client, read_options("a")).await.unwrap(), [Told::NotFound("a".into())]);
    let answer = append(&mut client, "a", stream_exists(), events([3])).await.unwrap();
    assert_eq!(answer, Written(Some(0), Some(3)), "a stream with metadata counts as existing");
    server.stop().await;
}

#[tokio::test]
async fn max_count_and_truncation_hide_events_from_reads_of_the_stream() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=100)).await.unwrap();
    let backwards = Options {
        stream_option: Some(StreamOption::Stream(StreamOptions {
            stream_identifier: Some(identifier("a")),
            revision_option: Some(RevisionOption::End(Empty {})),
        })),
        read_direction: 1,
        ..read_options("a")
    };
    let cases: Vec<(&str, Option<u64>, Vec<u128>)> = vec![
        (r#"{"$maxCount":3}"#, Some(97), vec![98, 99, 100]),
        (r#"{"$tb":98}"#, Some(98), vec![99, 100]),
        (r#"{"$tb":20,"$maxCount":95}"#, None, (21..=100).collect()),
        ("not json", None, (1..=100).collect()),
        (r#"{"$maxCount":"many"}"#, None, (1..=100).collect()),
        (r#"{"$tb":500}"#, Some(500), vec![]),
    ];
    for (id, (json, first, visible)) in cases.into_iter().enumerate() {
        append(&mut client, "$$a", any(), metadata(1_000 + id as u128, json)).await.unwrap();
        let answers = read(&mut client, read_options("a")).await.unwrap();
        let mut expected: Vec<_> = first.map(Told::First).into_iter().collect();
        expected
            .extend(visible.iter().map(|id| Told::Event("a".into(), u64::try_from(*id).unwrap() - 1, *id)));
        expected.push(Told::Last(99));
        assert_eq!(answers, expected, "{json}");
        let back = ids(&read(&mut client, backwards.clone()).await.unwrap());
        assert_eq!(back, visible.into_iter().rev().collect::<Vec<_>>(), "{json}");
    }
    let one = Options { count_option: Some(CountOption::Count(u64::MAX)), ..all_options() };
    assert_eq!(ids(&read(&mut client, one).await.unwrap()).len(), 106, "$all hides nothing");
    let answer = append(&mut client, "a", exact(99), events([101])).await.unwrap();
    assert_eq!(answer, Written(Some(100), Some(107)), "hidden events count");
    server.stop().await;
}

#[tokio::test]
async fn a_subscription_begins_with_the_first_visible_event() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=10)).await.unwrap();
    append(&mut client, "$$a", any(), metadata(11, r#"{"$tb":8}"#)).await.unwrap();
    let mut answers = open(&mut client, subscription(read_options("a"))).await.unwrap();
    let mut told_so_far = Vec::new();
    while told_so_far.last() != Some(&Told::CaughtUp) {
        told_so_far.push(told(next(&mut answers).await.unwrap().unwrap()));
    }
    assert_eq!(ids(&told_so_far), [9, 10]);
    server.stop().await;
}

#[tokio::test]
async fn events_that_are_too_old_are_hidden_from_reads_of_the_stream_in_both_directions() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=300)).await.unwrap();
    append(&mut client, "$$a", any(), metadata(1_000, r#"{"$maxAge":1}"#)).await.unwrap();
    let all_gone = async {
        while !ids(&read(&mut client, read_options("a")).await.unwrap()).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_gone).await.unwrap();
    assert_eq!(read(&mut client, read_options("a")).await.unwrap(), [Told::First(300), Told::Last(299)]);
    let backwards = Options { read_direction: 1, ..read_options("a") };
    assert_eq!(ids(&read(&mut client, backwards).await.unwrap()), []);
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()).len(), 301, "$all hides nothing");

    append(&mut client, "$$a", any(), metadata(1_001, r#"{"$maxAge":3600}"#)).await.unwrap();
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()).len(), 300, "nothing was lost");
    server.stop().await;
}

#[tokio::test]
async fn metadata_that_reads_do_not_need_is_kept_as_it_is() {
    let (_dir, server, mut client) = fresh().await;
    let json = r#"{"$cacheControl":5,"$acl":{"$r":["$all"]},"mine":1.5}"#;
    append(&mut client, "$$a", any(), metadata(1, json)).await.unwrap();
    let mut answers = open(&mut client, read_options("$$a")).await.unwrap();
    let Some(Content::Event(read)) = next(&mut answers).await.unwrap() else {
        panic!("an event comes first")
    };
    assert_eq!(read.event.unwrap().data, json);
    server.stop().await;
}
