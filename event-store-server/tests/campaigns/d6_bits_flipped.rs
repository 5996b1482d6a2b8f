//! A bit of the event file is flipped: it is found and named, or it changes nothing; it is never served as data.

use super::support::*;
use event_store_server::{Config, EventStoreServer};
use std::path::Path;
use tonic::{Code, Status};

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_and_named_or_changes_nothing() {
    let (dir, server, mut client) = fresh().await;
    for turn in 0..12 {
        for stream in 0..6 {
            let id = 1 + turn * 6 + stream;
            let large = Event { data: vec![b'd'; 40 + usize::try_from(id).unwrap() * 7], ..event(id) };
            append(&mut client, &format!("stream-{stream}"), any(), vec![large]).await.unwrap();
        }
    }
    append(&mut client, "$$stream-1", any(), metadata(1_000, r#"{"$tb":4}"#)).await.unwrap();
    let intact = everything(&mut client).await.unwrap();
    server.stop().await;
    let bytes = std::fs::read(dir.path().join("events.sqlite")).unwrap();

    let (mut found, mut harmless) = (0, 0);
    for mut run in campaign::runs("D6", 1_000) {
        let mut damaged = bytes.clone();
        let at = place_of(run.seed, bytes.len());
        damaged[at] ^= 1 << run.rng.u32(..8);
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("events.sqlite"), damaged).unwrap();
        match read_damaged(place.path()).await {
            Ok(read) => {
                assert_eq!(read, intact, "byte {at}: what is served is what was written");
                harmless += 1;
            }
            Err(text) => {
                let named =
                    ["damaged", "database", "layout", "missing"].iter().any(|word| text.contains(word));
                assert!(named, "byte {at}: {text}");
                found += 1;
            }
        }
    }
    assert!(found + harmless == 0 || found > 0, "some flips have to hit something");
}

/// Where run `seed` hits: all over the file, and each byte once in as many runs as the file has bytes.
fn place_of(seed: u64, bytes: usize) -> usize {
    // A prime that is no divisor of any number of whole pages.
    const STRIDE: u64 = 7_368_787;
    usize::try_from(seed.wrapping_mul(STRIDE) % bytes as u64).unwrap()
}

/// What is read from a damaged store, or what was said about the damage.
async fn read_damaged(dir: &Path) -> Result<Vec<Told>, String> {
    EventStoreServer::open(Config::new(dir)).map_err(|error| error.to_string())?.close().await;
    let server = Server::start(dir).await;
    let mut client = server.client().await;
    let read = everything(&mut client).await;
    server.stop().await;
    read.map_err(|status| {
        assert_eq!(status.code(), Code::DataLoss, "{status}");
        status.message().to_owned()
    })
}

/// `$all` in both directions, and each stream.
async fn everything(client: &mut Client) -> Result<Vec<Told>, Status> {
    let mut all = read(client, all_options()).await?;
    all.extend(read(client, backwards_from_the_end()).await?);
    for stream in 0..6 {
        all.extend(read(client, read_options(&format!("stream-{stream}"))).await?);
    }
    Ok(all)
}
