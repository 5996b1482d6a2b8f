//! A bit of the event file or its write-ahead log is flipped: it is found and named, or it changes nothing; it is never
//! served as data, and nothing acknowledged is lost without a word.

use super::process::Process;
use super::support::*;
use event_store_server::{Config, EventStoreServer, OpenError, maintenance};
use std::path::Path;
use tonic::Code;

/// Of so many flips, some have to hit something.
const ENOUGH: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_and_named_or_changes_nothing() {
    let (dir, server, mut client) = fresh().await;
    append_turns(&mut client, 12).await;
    append(&mut client, "$$stream-1", any(), metadata(1_000, r#"{"$tb":4}"#)).await.unwrap();
    append(&mut client, "$$stream-2", any(), metadata(1_001, r#"{"$maxAge":604800}"#)).await.unwrap();
    let intact = everything(&mut client).await;
    assert!(intact.iter().all(Result::is_ok), "{intact:?}");
    server.stop().await;
    let bytes = std::fs::read(dir.path().join("events.sqlite")).unwrap();

    let (mut found, mut harmless) = (0u32, 0);
    for mut run in campaign::runs("D6", 1_000) {
        let mut damaged = bytes.clone();
        let at = place_of(run.seed, bytes.len());
        damaged[at] ^= 1 << run.rng.u32(..8);
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("events.sqlite"), damaged).unwrap();
        let (mut whole, reads) = (true, read_damaged(place.path()).await);
        for (read, intact) in reads.iter().zip(&intact) {
            match read {
                Ok(_) => assert_eq!(read, intact, "byte {at}: what is served is what was written"),
                Err(text) => {
                    let named =
                        ["damaged", "database", "layout", "missing"].iter().any(|word| text.contains(word));
                    assert!(named, "byte {at}: {text}");
                    whole = false;
                }
            }
        }
        if whole {
            harmless += 1;
        } else {
            found += 1;
        }
    }
    assert!(found > 0 || harmless < ENOUGH, "{harmless} flips hit nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_of_the_write_ahead_log_is_refused_or_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path());
    let mut client = client(process.addr).await;
    append_turns(&mut client, 3).await;
    let acknowledged = everything(&mut client).await;
    assert!(acknowledged.iter().all(Result::is_ok), "{acknowledged:?}");
    drop(process);
    let killed = ["events.sqlite", "events.sqlite-shm", "events.sqlite-wal"]
        .map(|name| (name, std::fs::read(dir.path().join(name)).unwrap()));

    let (mut refused, mut harmless) = (0u32, 0);
    for mut run in campaign::runs("D6", 100) {
        let mut left = killed.clone();
        let [.., (_, log)] = &mut left;
        let at = place_of(run.seed, log.len());
        log[at] ^= 1 << run.rng.u32(..8);
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in &left {
            std::fs::write(place.path().join(name), bytes).unwrap();
        }
        match EventStoreServer::open(Config::new(place.path())) {
            Ok(server) => {
                server.close().await;
                let read = read_damaged(place.path()).await;
                assert_eq!(read, acknowledged, "byte {at}: all that was acknowledged is there");
                harmless += 1;
            }
            Err(error) => {
                assert!(matches!(error, OpenError::DamagedLog { .. }), "byte {at}: {error}");
                let checked = maintenance::check(place.path(), &mut |_| {}).unwrap_err().to_string();
                assert!(checked.contains("events.sqlite-wal is damaged"), "byte {at}: {checked}");
                for (name, bytes) in &left {
                    let now = std::fs::read(place.path().join(name)).unwrap();
                    assert!(&now == bytes, "byte {at}: {name} was changed");
                }
                refused += 1;
            }
        }
    }
    assert!(refused > 0 || harmless < ENOUGH, "{harmless} flips hit nothing");
}

/// Six appends in each turn.
async fn append_turns(client: &mut Client, turns: u128) {
    for id in 1..=turns * 6 {
        let large = Event { data: vec![b'd'; 40 + usize::try_from(id).unwrap() * 7], ..event(id) };
        append(client, &format!("stream-{}", (id - 1) % 6), any(), vec![large]).await.unwrap();
    }
}

/// Where run `seed` hits: all over the file, and each byte once in as many runs as the file has bytes.
fn place_of(seed: u64, bytes: usize) -> usize {
    // A prime that is no divisor of any number of whole pages.
    const STRIDE: u64 = 7_368_787;
    usize::try_from(seed.wrapping_mul(STRIDE) % bytes as u64).unwrap()
}

/// What is told by a read, or what was said about damage.
type Read = Result<Vec<Told>, String>;

/// What each read of a damaged store tells; where it is not opened, what was said about that.
async fn read_damaged(dir: &Path) -> Vec<Read> {
    match EventStoreServer::open(Config::new(dir)) {
        Ok(server) => server.close().await,
        Err(error) => return vec![Err(error.to_string())],
    }
    let server = Server::start(dir).await;
    let mut client = server.client().await;
    let reads = everything(&mut client).await;
    server.stop().await;
    reads
}

/// `$all` in both directions, and each stream. Each by itself: where one finds damage, none of the others hides any.
async fn everything(client: &mut Client) -> Vec<Read> {
    let streams = (0..6).map(|stream| read_options(&format!("stream-{stream}")));
    let mut reads = Vec::new();
    for options in [all_options(), backwards_from_the_end()].into_iter().chain(streams) {
        reads.push(read(client, options).await.map_err(|status| {
            assert_eq!(status.code(), Code::DataLoss, "{status}");
            status.message().to_owned()
        }));
    }
    reads
}
