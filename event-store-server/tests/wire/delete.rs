//! Deleting a stream: until somebody appends to it again, or for ever.

use super::support::Answer::{Written, Wrong};
use super::support::*;
use streams::{DeleteReq, TombstoneReq, delete_req, tombstone_req};
use tonic::{Code, Status};

/// The position of the deletion.
pub(crate) async fn delete(client: &mut Client, stream: &str, expected: Option<u64>) -> Result<u64, Status> {
    use delete_req::options::ExpectedStreamRevision;
    use streams::delete_resp::PositionOption;
    let expected = expected.map_or(ExpectedStreamRevision::Any(Empty {}), ExpectedStreamRevision::Revision);
    let options = delete_req::Options {
        stream_identifier: Some(identifier(stream)),
        expected_stream_revision: Some(expected),
    };
    let answer = client.delete(DeleteReq { options: Some(options) }).await?.into_inner();
    match answer.position_option.unwrap() {
        PositionOption::Position(position) => Ok(position.commit_position),
        PositionOption::NoPosition(_) => panic!("a deletion has a position"),
    }
}

pub(crate) async fn tombstone(
    client: &mut Client,
    stream: &str,
    expected: Option<u64>,
) -> Result<u64, Status> {
    use streams::tombstone_resp::PositionOption;
    use tombstone_req::options::ExpectedStreamRevision;
    let expected = expected.map_or(ExpectedStreamRevision::Any(Empty {}), ExpectedStreamRevision::Revision);
    let options = tombstone_req::Options {
        stream_identifier: Some(identifier(stream)),
        expected_stream_revision: Some(expected),
    };
    let answer = client.tombstone(TombstoneReq { options: Some(options) }).await?.into_inner();
    match answer.position_option.unwrap() {
        PositionOption::Position(position) => Ok(position.commit_position),
        PositionOption::NoPosition(_) => panic!("a tombstone has a position"),
    }
}

fn exception(status: &Status) -> &str {
    status.metadata().get("exception").map_or("", |value| value.to_str().unwrap())
}

fn assert_deleted(status: &Status) {
    assert_eq!((status.code(), exception(status)), (Code::FailedPrecondition, "stream-deleted"), "{status}");
    assert_eq!(status.metadata().get("stream-name").unwrap(), "a");
}

#[tokio::test]
async fn a_deleted_stream_is_not_found_and_goes_on_with_its_next_number() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=3)).await.unwrap();
    append(&mut client, "$$a", any(), metadata(100, r#"{"$maxCount":9}"#)).await.unwrap();
    assert_eq!(delete(&mut client, "a", Some(2)).await.unwrap(), 5);
    assert_eq!(read(&mut client, read_options("a")).await.unwrap(), [Told::NotFound("a".into())]);
    let exists = append(&mut client, "a", stream_exists(), events([4])).await.unwrap_err();
    assert_eq!(exists.metadata().get("exception").unwrap(), "stream-deleted", "{exists}");
    assert_eq!(append(&mut client, "a", exact(1), events([4])).await.unwrap(), Wrong(Some(2)));
    server.stop().await;

    // After a restart too.
    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    assert_eq!(read(&mut client, read_options("a")).await.unwrap(), [Told::NotFound("a".into())]);
    assert_eq!(append(&mut client, "a", no_stream(), events([4])).await.unwrap(), Written(Some(3), Some(6)));
    let answers = read(&mut client, read_options("a")).await.unwrap();
    assert_eq!(answers, [Told::Event("a".into(), 3, 4), Told::Last(3)]);
    let again = append(&mut client, "a", exact(2), events([4])).await.unwrap();
    assert_eq!(again, Written(Some(3), Some(6)), "a repeat is recognised");
    let mut answers = open(&mut client, read_options("$$a")).await.unwrap();
    let Some(Content::Event(read)) = next(&mut answers).await.unwrap() else { panic!("there is metadata") };
    let event = read.event.unwrap();
    assert_eq!((event.stream_revision, &event.data[..]), (2, &br#"{"$tb":3}"#[..]), "it begins anew");
    server.stop().await;
}

#[tokio::test]
async fn a_metadata_stream_is_never_deleted_after_a_restart_and_before() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "$$a", any(), metadata(1, "{}")).await.unwrap();
    delete(&mut client, "$$a", None).await.unwrap();
    let before = append(&mut client, "$$a", stream_exists(), metadata(2, "{}")).await.unwrap();
    assert_eq!(before, Written(Some(1), Some(3)));
    append(&mut client, "$$a", any(), metadata(3, "{}")).await.unwrap();
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    let after = append(&mut client, "$$a", stream_exists(), metadata(4, "{}")).await.unwrap();
    assert_eq!(after, Written(Some(3), Some(5)), "nothing else was written");
    server.stop().await;
}

#[tokio::test]
async fn metadata_that_is_set_on_a_deleted_stream_brings_it_back_without_its_old_events() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=3)).await.unwrap();
    delete(&mut client, "a", None).await.unwrap();
    append(&mut client, "$$a", any(), metadata(100, r#"{"mine":1}"#)).await.unwrap();
    let answers = read(&mut client, read_options("a")).await.unwrap();
    assert_eq!(answers, [Told::First(3), Told::Last(2)], "there, and empty");
    append(&mut client, "a", stream_exists(), events([4])).await.unwrap();
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [4]);
    server.stop().await;
}

#[tokio::test]
async fn a_deletion_that_finds_another_revision_is_refused_with_both() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=3)).await.unwrap();
    for refused in [delete(&mut client, "a", Some(1)).await, tombstone(&mut client, "a", Some(1)).await] {
        let status = refused.unwrap_err();
        assert_eq!((status.code(), exception(&status)), (Code::FailedPrecondition, "wrong-expected-version"));
        let said = |key: &str| status.metadata().get(key).unwrap().to_str().unwrap().to_owned();
        assert_eq!((said("expected-version"), said("actual-version")), ("1".into(), "2".into()));
        assert_eq!(said("stream-name"), "a");
    }
    let never = delete(&mut client, "never", None).await.unwrap_err();
    assert_eq!(exception(&never), "wrong-expected-version", "there is nothing to delete");
    assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), [1, 2, 3]);
    server.stop().await;
}

#[tokio::test]
async fn behind_a_tombstone_nothing_can_be_read_appended_or_deleted_again() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=3)).await.unwrap();
    append(&mut client, "$$a", any(), metadata(100, "{}")).await.unwrap();
    let position = tombstone(&mut client, "a", Some(2)).await.unwrap();
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    assert_deleted(&read(&mut client, read_options("a")).await.unwrap_err());
    assert_deleted(&append(&mut client, "a", any(), events([4])).await.unwrap_err());
    assert_deleted(&append(&mut client, "a", no_stream(), events([1, 2, 3])).await.unwrap_err());
    assert_deleted(&delete(&mut client, "a", None).await.unwrap_err());
    assert_deleted(&tombstone(&mut client, "a", None).await.unwrap_err());
    assert_deleted(&open_to_end(&mut client, subscription(read_options("a"))).await);
    let of_metadata = append(&mut client, "$$a", any(), metadata(101, "{}")).await.unwrap_err();
    assert_eq!(exception(&of_metadata), "stream-deleted");
    assert_eq!(exception(&read(&mut client, read_options("$$a")).await.unwrap_err()), "stream-deleted");

    let all = read(&mut client, all_options()).await.unwrap();
    let Told::Event(stream, revision, _) = all.last().unwrap() else { panic!("{all:?}") };
    assert_eq!((stream.as_str(), *revision), ("a", i64::MAX as u64), "$all shows the tombstone");
    assert_eq!(all.len() as u64, position, "and all before");
    let other = tombstone(&mut client, "new", None).await.unwrap();
    assert!(other > position, "a stream that never was can be kept from ever being");
    server.stop().await;
}

/// Reads until it fails.
async fn open_to_end(client: &mut Client, options: streams::read_req::Options) -> Status {
    let mut answers = open(client, options).await.unwrap();
    loop {
        match next(&mut answers).await {
            Ok(answer) => assert!(answer.is_some(), "it ends with a status"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn whoever_follows_a_stream_hears_its_tombstone_and_then_that_it_is_deleted() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    let mut live = open(&mut client, subscription(read_options("a"))).await.unwrap();
    while told(next(&mut live).await.unwrap().unwrap()) != Told::CaughtUp {}
    append(&mut client, "a", any(), events([2])).await.unwrap();
    tombstone(&mut client, "a", None).await.unwrap();
    assert_eq!(told(next(&mut live).await.unwrap().unwrap()), Told::Event("a".into(), 1, 2));
    let Some(Content::Event(read)) = next(&mut live).await.unwrap() else { panic!("the tombstone comes") };
    assert_eq!(read.event.unwrap().metadata["type"], "$streamDeleted");
    assert_deleted(&next(&mut live).await.unwrap_err());
    server.stop().await;
}

#[tokio::test]
async fn a_tombstone_brings_nothing_back_that_was_hidden_before() {
    let (_dir, server, mut client) = fresh().await;
    let hidden =
        [("deleted", None), ("truncated", Some(r#"{"$tb":500}"#)), ("counted", Some(r#"{"$maxCount":1}"#))];
    for (stream, hides) in hidden {
        append(&mut client, stream, any(), events(1..=3)).await.unwrap();
        if let Some(json) = hides {
            append(&mut client, &format!("$${stream}"), any(), metadata(100, json)).await.unwrap();
        } else {
            delete(&mut client, stream, None).await.unwrap();
        }
        let mut live = open(&mut client, subscription(read_options(stream))).await.unwrap();
        assert_eq!(told(next(&mut live).await.unwrap().unwrap()), Told::Confirmed);
        let mut seen = Vec::new();
        let caught_up = loop {
            match next(&mut live).await.unwrap().unwrap() {
                Content::CaughtUp(caught_up) => break caught_up,
                other => seen.push(told(other)),
            }
        };
        assert_eq!(caught_up.stream_revision, Some(2), "{stream}: it has come to the stream's end");
        let visible: &[u128] = if stream == "counted" { &[3] } else { &[] };
        assert_eq!(ids(&seen), visible, "{stream}");

        tombstone(&mut client, stream, None).await.unwrap();
        let Some(Content::Event(read)) = next(&mut live).await.unwrap() else {
            panic!("the tombstone comes")
        };
        let event = read.event.unwrap();
        assert_eq!(event.metadata["type"], "$streamDeleted", "{stream}: not event {}", event.stream_revision);
        let status = next(&mut live).await.unwrap_err();
        assert_eq!(exception(&status), "stream-deleted", "{stream}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_deleted_when_a_subscription_comes_to_it_never_comes() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events(1..=3)).await.unwrap();
    delete(&mut client, "a", None).await.unwrap();
    let mut live = open(&mut client, subscription(read_options("a"))).await.unwrap();
    while told(next(&mut live).await.unwrap().unwrap()) != Told::CaughtUp {}
    append(&mut client, "$$a", any(), metadata(100, "{}")).await.unwrap();
    append(&mut client, "$$a", any(), metadata(101, "{}")).await.unwrap();
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1, 2, 3], "they are back");
    append(&mut client, "a", any(), events([4])).await.unwrap();
    assert_eq!(told(next(&mut live).await.unwrap().unwrap()), Told::Event("a".into(), 3, 4));
    server.stop().await;
}

#[tokio::test]
async fn an_event_of_the_type_that_tombstones_have_is_one_like_any_other() {
    let (_dir, server, mut client) = fresh().await;
    let ends = |id| typed(id, "$streamDeleted");
    let c = &mut client;
    assert_eq!(append(c, "a", any(), vec![ends(1), event(2)]).await.unwrap(), Written(Some(1), Some(2)));
    assert_eq!(append(c, "b", any(), vec![ends(3), ends(4)]).await.unwrap(), Written(Some(1), Some(4)));
    assert_eq!(append(c, "c", any(), vec![ends(5)]).await.unwrap(), Written(Some(0), Some(5)));

    let mut other = server.client().await;
    assert_eq!(append(&mut other, "a", exact(1), events([6])).await.unwrap(), Written(Some(2), Some(6)));
    assert_eq!(append(&mut other, "c", exact(0), events([7])).await.unwrap(), Written(Some(1), Some(7)));
    assert_eq!(ids(&read(&mut other, read_options("a")).await.unwrap()), [1, 2, 6]);
    assert_eq!(ids(&read(&mut other, read_options("b")).await.unwrap()), [3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_which_the_metadata_ended_for_ever_cannot_be_deleted_and_goes_on() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    tombstone(&mut client, "$$a", None).await.unwrap();
    assert_deleted(&delete(&mut client, "a", None).await.unwrap_err());

    let mut other = server.client().await;
    append(&mut other, "a", exact(0), events([2])).await.unwrap();
    assert_eq!(ids(&read(&mut other, read_options("a")).await.unwrap()), [1, 2]);
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_stream_can_end_for_ever_and_whoever_asks_without_events_is_answered() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    delete(&mut client, "a", None).await.unwrap();
    tombstone(&mut client, "a", None).await.unwrap();
    let last = Written(Some(i64::MAX as u64), None);
    assert_eq!(append(&mut client, "a", any(), vec![]).await.unwrap(), last);
    append(&mut server.client().await, "b", any(), events([2])).await.unwrap();
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    assert_eq!(append(&mut client, "a", any(), vec![]).await.unwrap(), last);
    append(&mut client, "b", exact(0), events([3])).await.unwrap();
    server.stop().await;
}
