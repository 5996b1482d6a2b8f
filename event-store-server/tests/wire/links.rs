//! Link events: what a reader sees that asks for what they stand for.

use super::support::*;
use streams::read_req::Options;

fn link(id: u128, to: &str) -> Vec<Event> {
    vec![Event { data: to.as_bytes().to_vec(), ..typed(id, "$>") }]
}

/// What was read, by stream and revision: the event, and the link.
type Seen = (Option<(String, u64)>, Option<(String, u64)>);

async fn seen(client: &mut Client, options: Options) -> Vec<Seen> {
    let mut answers = open(client, options).await.unwrap();
    let mut seen = Vec::new();
    while let Some(answer) = next(&mut answers).await.unwrap() {
        seen.extend(of_answer(answer));
    }
    seen
}

fn of_answer(answer: Content) -> Option<Seen> {
    let place = |event: streams::read_resp::read_event::RecordedEvent| {
        (name(event.stream_identifier), event.stream_revision)
    };
    match answer {
        Content::Event(read) => Some((read.event.map(place), read.link.map(place))),
        _ => None,
    }
}

#[tokio::test]
async fn a_resolved_link_comes_with_its_event_and_an_unresolvable_one_alone() {
    let (_dir, server, mut client) = fresh().await;
    append(&mut client, "a@b", any(), events([1, 2])).await.unwrap();
    for (id, to) in [(11, "1@a@b"), (12, "7@a@b"), (13, "0@nowhere"), (14, "nonsense")] {
        append(&mut client, "l", any(), link(id, to)).await.unwrap();
    }
    let resolved = Options { resolve_links: true, ..read_options("l") };
    let at = |stream: &str, revision| Some((stream.to_owned(), revision));
    let in_the_link_stream =
        [(at("a@b", 1), at("l", 0)), (None, at("l", 1)), (None, at("l", 2)), (None, at("l", 3))];
    assert_eq!(seen(&mut client, resolved.clone()).await, in_the_link_stream);
    assert_eq!(seen(&mut client, read_options("l")).await[0], (at("l", 0), None), "only if asked for");
    let all = seen(&mut client, Options { resolve_links: true, ..all_options() }).await;
    assert_eq!(all[..2], [(at("a@b", 0), None), (at("a@b", 1), None)]);
    assert_eq!(all[2..], in_the_link_stream);

    // A subscription resolves them as a read does.
    let mut live = open(&mut client, subscription(resolved.clone())).await.unwrap();
    let mut followed = Vec::new();
    while followed.len() < 4 {
        followed.extend(of_answer(next(&mut live).await.unwrap().unwrap()));
    }
    assert_eq!(followed, in_the_link_stream);

    // What its own stream hides is hidden here too.
    append(&mut client, "$$a@b", any(), metadata(20, r#"{"$tb":2}"#)).await.unwrap();
    assert_eq!(seen(&mut client, resolved).await[0], (None, at("l", 0)));
    server.stop().await;
}
