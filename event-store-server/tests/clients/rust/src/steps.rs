// The same for each client, which differ in the words that the later one renamed: those are where this is included.

use client::{
    Client, Error, EventData, Position, ReadAllOptions, ReadStreamOptions, StreamMetadataBuilder,
    StreamPosition, SubscribeToAllOptions, SubscriptionFilter, TombstoneStreamOptions,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// An event as it was read: its id, its revision, its data, its metadata.
type Read = (Uuid, u64, Value, Value);

pub(super) async fn all(connection: &str) -> anyhow::Result<()> {
    let client = Client::new(connection.parse()?).map_err(|error| anyhow::anyhow!("{error}"))?;
    let ids = appends(&client).await?;
    reads(&client, ids).await?;
    appends_in_a_batch(&client).await?;
    subscribes(&client).await?;
    keeps_metadata_and_deletes(&client).await
}

fn event(id: Uuid) -> anyhow::Result<EventData> {
    let event = EventData::json("Happened", &json!({"n": 1}))?;
    Ok(event.metadata_as_json(&json!({"by": "rust"}))?.id(id))
}

fn one_more() -> anyhow::Result<EventData> {
    event(Uuid::new_v4())
}

async fn appends(client: &Client) -> anyhow::Result<[Uuid; 2]> {
    let [first, second] = [Uuid::new_v4(), Uuid::new_v4()];
    client.append_to_stream("rs-a", &appending(Expected::NoStream), event(first)?).await?;
    let written = client.append_to_stream("rs-a", &appending(exactly(0)), event(second)?).await?;
    let repeated = client.append_to_stream("rs-a", &appending(exactly(0)), event(second)?).await?;
    assert_eq!(written.next_expected_version, 1);
    assert_eq!((repeated.next_expected_version, repeated.position), (1, written.position));
    for (stream, expected) in
        [("rs-a", exactly(5)), ("rs-a", Expected::NoStream), ("rs-new", Expected::StreamExists)]
    {
        let refused = client.append_to_stream(stream, &appending(expected), one_more()?).await;
        assert!(
            matches!(refused, Err(Error::WrongExpectedVersion { .. })),
            "{stream} {expected:?}: {refused:?}"
        );
    }
    client.append_to_stream("rs-a", &appending(Expected::Any), one_more()?).await?;
    client
        .append_to_stream("rs-a", &appending(Expected::StreamExists), vec![one_more()?, one_more()?])
        .await?;
    Ok([first, second])
}

async fn read(
    client: &Client,
    stream: &str,
    options: ReadStreamOptions,
) -> anyhow::Result<Result<Vec<Read>, Error>> {
    let mut found = match client.read_stream(stream, &options).await {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let mut events = Vec::new();
    loop {
        match found.next().await {
            Ok(Some(resolved)) => {
                let event = resolved.get_original_event();
                let (data, metadata) = (event.as_json()?, serde_json::from_slice(&event.custom_metadata)?);
                events.push((event.id, event.revision, data, metadata));
            }
            Ok(None) => return Ok(Ok(events)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

async fn revisions(client: &Client, stream: &str, options: ReadStreamOptions) -> anyhow::Result<Vec<u64>> {
    Ok(read(client, stream, options).await??.into_iter().map(|(_, revision, ..)| revision).collect())
}

async fn reads(client: &Client, ids: [Uuid; 2]) -> anyhow::Result<()> {
    let forwards = read(client, "rs-a", ReadStreamOptions::default()).await??;
    assert_eq!(forwards.iter().map(|read| read.1).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(forwards[..2].iter().map(|read| read.0).collect::<Vec<_>>(), ids);
    assert_eq!((&forwards[0].2, &forwards[0].3), (&json!({"n": 1}), &json!({"by": "rust"})));
    let backwards = ReadStreamOptions::default().backwards().position(StreamPosition::End).max_count(2);
    assert_eq!(revisions(client, "rs-a", backwards).await?, [4, 3]);
    let mut all = client.read_all(&ReadAllOptions::default()).await?;
    let (mut found, mut last) = (Vec::new(), Position { commit: 0, prepare: 0 });
    while let Some(resolved) = all.next().await? {
        let event = resolved.get_original_event();
        assert!(event.position.commit >= last.commit, "{:?} after {last:?}", event.position);
        last = event.position;
        if resolved.get_original_stream_id() == "rs-a" {
            found.push(event.id);
        }
    }
    assert_eq!(found, forwards.iter().map(|read| read.0).collect::<Vec<_>>());
    let nowhere = read(client, "rs-nowhere", ReadStreamOptions::default()).await?;
    assert!(matches!(nowhere, Err(Error::ResourceNotFound)), "{nowhere:?}");
    Ok(())
}

async fn appends_in_a_batch(client: &Client) -> anyhow::Result<()> {
    let batch = client.batch_append(&Default::default()).await?;
    batch.append_to_stream("rs-batch", Expected::NoStream, vec![one_more()?, one_more()?]).await?;
    let written = batch.append_to_stream("rs-batch", exactly(1), vec![one_more()?]).await?;
    assert_eq!(written.current_revision(), Some(2));
    assert_eq!(revisions(client, "rs-batch", ReadStreamOptions::default()).await?, [0, 1, 2]);
    Ok(())
}

async fn subscribes(client: &Client) -> anyhow::Result<()> {
    let filter = SubscriptionFilter::on_stream_name().add_prefix("rs-b-");
    let options = SubscribeToAllOptions::default().filter(filter).position(StreamPosition::Start);
    let mut subscription = client.subscribe_to_all(&options).await;
    client.append_to_stream("rs-other", &appending(Expected::Any), one_more()?).await?;
    client.append_to_stream("rs-b-1", &appending(Expected::Any), vec![one_more()?, one_more()?]).await?;
    for revision in 0..2 {
        let resolved = subscription.next().await?;
        let event = resolved.get_original_event();
        assert_eq!((resolved.get_original_stream_id(), event.revision), ("rs-b-1", revision));
    }
    Ok(())
}

async fn keeps_metadata_and_deletes(client: &Client) -> anyhow::Result<()> {
    let metadata = StreamMetadataBuilder::new().max_count(2).insert_custom_property("mine", "x").build();
    client.set_stream_metadata("rs-a", &appending(Expected::Any), &metadata).await?;
    let kept = client.get_stream_metadata("rs-a", &ReadStreamOptions::default()).await?;
    let client::StreamMetadataResult::Success(kept) = kept else { anyhow::bail!("no metadata: {kept:?}") };
    assert_eq!(kept.metadata().max_count, Some(2));
    assert_eq!(revisions(client, "rs-a", ReadStreamOptions::default()).await?, [3, 4]);

    client.delete_stream("rs-a", &deleting(exactly(4))).await?;
    let deleted = read(client, "rs-a", ReadStreamOptions::default()).await?;
    assert!(matches!(deleted, Err(Error::ResourceNotFound)), "{deleted:?}");
    client.append_to_stream("rs-a", &appending(Expected::NoStream), one_more()?).await?;
    assert_eq!(revisions(client, "rs-a", ReadStreamOptions::default()).await?, [5]);

    client.tombstone_stream("rs-b-1", &TombstoneStreamOptions::default()).await?;
    let gone = read(client, "rs-b-1", ReadStreamOptions::default()).await?;
    assert!(matches!(gone, Err(Error::ResourceDeleted)), "{gone:?}");
    let refused = client.append_to_stream("rs-b-1", &appending(Expected::Any), one_more()?).await;
    assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
    Ok(())
}
