//! `Streams.Append`.

use super::support::Answer::{Written, Wrong};
use super::support::*;
use event_store_server::Limits;
use tonic::Code;

#[tokio::test]
async fn every_expected_revision_is_kept_to() {
    let (_dir, server, mut client) = fresh().await;
    let c = &mut client;

    assert_eq!(append(c, "a", stream_exists(), events([1])).await.unwrap(), Wrong(None));
    assert_eq!(append(c, "a", exact(0), events([1])).await.unwrap(), Wrong(None));
    assert_eq!(append(c, "a", no_stream(), events([1])).await.unwrap(), Written(Some(0), Some(1)));
    assert_eq!(append(c, "a", no_stream(), events([2])).await.unwrap(), Wrong(Some(0)));
    assert_eq!(append(c, "a", exact(1), events([2])).await.unwrap(), Wrong(Some(0)));
    assert_eq!(append(c, "a", exact(0), events([2, 3])).await.unwrap(), Written(Some(2), Some(3)));
    assert_eq!(append(c, "a", exact(0), events([4])).await.unwrap(), Wrong(Some(2)));
    assert_eq!(append(c, "a", stream_exists(), events([4])).await.unwrap(), Written(Some(3), Some(4)));
    assert_eq!(append(c, "a", any(), events([5])).await.unwrap(), Written(Some(4), Some(5)));
    assert_eq!(append(c, "b", any(), events([6])).await.unwrap(), Written(Some(0), Some(6)));
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_revision_is_answered_in_the_fields_of_both_protocol_versions() {
    use streams::append_resp::Result;
    use streams::append_resp::wrong_expected_version::{
        CurrentRevisionOption as Current, CurrentRevisionOption2060 as Current2060,
        ExpectedRevisionOption as Wanted, ExpectedRevisionOption2060 as Wanted2060,
    };
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", no_stream(), events([1, 2])).await.unwrap();
    let none = Empty {};
    let cases = [
        (
            "a",
            no_stream(),
            Some(1),
            Wanted::ExpectedNoStream(none),
            Wanted2060::ExpectedRevision2060(u64::MAX),
        ),
        ("a", exact(7), Some(1), Wanted::ExpectedRevision(7), Wanted2060::ExpectedRevision2060(7)),
        ("b", stream_exists(), None, Wanted::ExpectedStreamExists(none), Wanted2060::StreamExists2060(none)),
    ];
    for (stream, expected, current, wanted, wanted_2060) in cases {
        let messages = append_messages(stream, expected, events([9]));
        let answer = client.append(tokio_stream::iter(messages)).await.unwrap().into_inner();
        let Some(Result::WrongExpectedVersion(wrong)) = answer.result else { panic!("{answer:?}") };
        assert_eq!(wrong.expected_revision_option, Some(wanted));
        assert_eq!(wrong.expected_revision_option_20_6_0, Some(wanted_2060));
        let (new, old) = match current {
            Some(revision) => {
                (Current::CurrentRevision(revision), Current2060::CurrentRevision2060(revision))
            }
            None => (Current::CurrentNoStream(none), Current2060::NoStream2060(none)),
        };
        assert_eq!(wrong.current_revision_option, Some(new));
        assert_eq!(wrong.current_revision_option_20_6_0, Some(old));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_append_gets_its_first_answer_and_writes_nothing() {
    let (_dir, server, mut client) = fresh().await;
    let c = &mut client;
    append(c, "a", no_stream(), events([1, 2])).await.unwrap();
    append(c, "a", exact(1), events([3, 4])).await.unwrap();
    append(c, "a", any(), events([5])).await.unwrap();

    assert_eq!(append(c, "a", no_stream(), events([1, 2])).await.unwrap(), Written(Some(1), Some(2)));
    assert_eq!(append(c, "a", exact(1), events([3, 4])).await.unwrap(), Written(Some(3), Some(4)));
    assert_eq!(append(c, "a", any(), events([5])).await.unwrap(), Written(Some(4), Some(5)));
    assert_eq!(append(c, "a", stream_exists(), events([3, 4])).await.unwrap(), Written(Some(3), Some(4)));
    assert_eq!(append(c, "a", exact(1), events([3, 9])).await.unwrap(), Wrong(Some(4)));
    assert_eq!(append(c, "a", any(), events([5, 9])).await.unwrap(), Wrong(Some(4)));
    assert_eq!(
        append(c, "b", any(), events([5])).await.unwrap(),
        Written(Some(0), Some(6)),
        "another stream"
    );
    assert_eq!(append(c, "a", any(), events([5])).await.unwrap(), Written(Some(4), Some(5)), "still known");

    let all = read(c, read_options("a")).await.unwrap();
    assert_eq!(ids(&all), [1, 2, 3, 4, 5]);
    server.stop().await;
}

#[tokio::test]
async fn repeats_are_recognised_after_a_restart() {
    let (dir, server, mut client) = fresh().await;
    append(&mut client, "a", any(), events([1])).await.unwrap();
    append(&mut client, "a", exact(0), events([2])).await.unwrap();
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.client().await;
    assert_eq!(append(&mut client, "a", any(), events([1])).await.unwrap(), Written(Some(0), Some(1)));
    assert_eq!(append(&mut client, "a", exact(0), events([2])).await.unwrap(), Written(Some(1), Some(2)));
    assert_eq!(append(&mut client, "a", exact(1), events([3])).await.unwrap(), Written(Some(2), Some(3)));
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_at_an_exact_revision_is_recognised_however_much_came_since() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a", no_stream(), events([1, 2])).await.unwrap();
    append(&mut client, "a", exact(1), events([3])).await.unwrap();
    // More than the ids that are remembered, twice over.
    for batch in 1..=28 {
        append(&mut client, "b", any(), events(batch * 5_000..(batch + 1) * 5_000)).await.unwrap();
    }
    assert_eq!(
        append(&mut client, "a", no_stream(), events([1, 2])).await.unwrap(),
        Written(Some(1), Some(2))
    );
    assert_eq!(append(&mut client, "a", exact(1), events([3])).await.unwrap(), Written(Some(2), Some(3)));
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), [1, 2, 3]);
    server.stop().await;
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_takes_memory_until_it_is_gone() {
    let limits = Limits {
        write_timeout: std::time::Duration::from_millis(100),
        max_pending_bytes: 1 << 20,
        ..Limits::default()
    };
    let (dir, server, _) = fresh_with(limits).await;
    let large = || vec![Event { data: vec![b'x'; 900 << 10], ..event(1) }];
    let database = rusqlite::Connection::open(dir.path().join("events.sqlite")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = async {
        loop {
            // Each on a connection of its own, so that what it sends is no reason to refuse it.
            let status = append(&mut server.client().await, "a", any(), large()).await.unwrap_err();
            if status.code() != Code::Aborted {
                break status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, refused).await.expect("they cannot pile up");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "Server Is Too Busy"));
    database.execute_batch("ROLLBACK").unwrap();
    let mut client = server.client().await;
    let again = async { while append(&mut client, "a", any(), large()).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("it is given back");
    server.stop().await;
}

#[tokio::test]
async fn an_append_that_is_not_committed_in_time_is_told_that_it_may_still_be() {
    let limits = event_store_server::Limits {
        write_timeout: std::time::Duration::from_millis(100),
        ..Default::default()
    };
    let (dir, server, mut client) = fresh_with(limits).await;
    let database = rusqlite::Connection::open(dir.path().join("events.sqlite")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let status = append(&mut client, "a", any(), events([1])).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted, "{status}");
    assert!(status.message().contains("may still be"), "{status}");

    // The same append again finds out.
    database.execute_batch("ROLLBACK").unwrap();
    let again = async {
        loop {
            if let Ok(answer) = append(&mut client, "a", any(), events([1])).await {
                break answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(answer, Written(Some(0), Some(1)));
    server.stop().await;
}

#[tokio::test]
async fn an_append_without_events_only_checks_the_revision() {
    let (_dir, server, mut client) = fresh().await;
    let c = &mut client;
    assert_eq!(append(c, "a", any(), vec![]).await.unwrap(), Written(None, None));
    assert_eq!(read(c, read_options("a")).await.unwrap(), [Told::NotFound("a".into())]);
    append(c, "a", any(), events([1])).await.unwrap();
    assert_eq!(append(c, "a", exact(0), vec![]).await.unwrap(), Written(Some(0), None));
    assert_eq!(append(c, "a", no_stream(), vec![]).await.unwrap(), Wrong(Some(0)));
    server.stop().await;
}

#[tokio::test]
async fn writers_of_one_stream_never_overwrite_each_other() {
    let (_dir, server, client) = fresh().await;
    let writers = (0..16_u128).map(|writer| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let mut won = Vec::new();
            for turn in 0..20 {
                let id = 1 + writer * 100 + turn;
                match append(&mut client, "a", exact(7), events([id])).await.unwrap() {
                    Written(Some(8), _) => won.push(id),
                    Wrong(_) => {}
                    Written(..) => panic!("written elsewhere"),
                }
                append(&mut client, "a", any(), events([10_000 + id])).await.unwrap();
            }
            won
        })
    });
    let mut won = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        won.extend(writer.await.unwrap());
    }
    let mut client = client;
    let all = ids(&read(&mut client, read_options("a")).await.unwrap());
    assert_eq!(all.len(), 320 + won.len());
    assert!(
        won.len() <= 1 && won.iter().all(|id| all[8] == *id),
        "one of them at most has revision 8: {won:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn sizes_over_the_limits_are_refused_with_the_names_clients_know() {
    let limits = Limits { max_event_bytes: 1_000, max_append_bytes: 2_500, ..Limits::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let of_size = |id, size| Event { data: vec![b' '; size], ..event(id) };

    let error = append(&mut client, "a", any(), vec![of_size(1, 1_000)]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.metadata().get("exception").unwrap(), "maximum-append-event-size-exceeded");
    assert_eq!(error.metadata().get("maximum-append-event-size").unwrap(), "1000");

    let three = (1..=3).map(|id| of_size(id, 900)).collect();
    let error = append(&mut client, "a", any(), three).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.metadata().get("exception").unwrap(), "maximum-append-size-exceeded");
    assert_eq!(error.metadata().get("maximum-append-size").unwrap(), "2500");

    assert_eq!(append(&mut client, "a", any(), vec![of_size(1, 900)]).await.unwrap().position(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_store_at_its_size_limit_refuses_appends_and_goes_on_reading() {
    let limits = Limits { max_store_bytes: Some(256 << 10), ..Limits::default() };
    let (_dir, server, mut client) = fresh_with(limits).await;
    let large = |id| Event { data: vec![b'x'; 20_000], ..event(id) };
    let mut written = Vec::new();
    let error = loop {
        let id = written.len() as u128 + 1;
        match append(&mut client, "a", any(), vec![large(id)]).await {
            Ok(_) => written.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert!(written.len() > 3);
    assert_eq!(ids(&read(&mut client, read_options("a")).await.unwrap()), written);
    assert_eq!(
        append(&mut client, "a", exact(written.len() as u64 - 2), vec![large(written.len() as u128)])
            .await
            .unwrap()
            .position(),
        written.len() as u64,
        "it goes on deciding"
    );
    server.stop().await;
}
