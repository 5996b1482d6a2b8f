//! The disk is full: appends are refused with RESOURCE_EXHAUSTED, reads go on, and it goes on when there is room again.

use super::process::{PROGRAM, Process};
use super::support::*;
use std::process::Command;
use tonic::Code;

/// Starts the server on a file system of 4 MiB of its own, half of it taken by a file that can be removed from outside.
const ON_A_SMALL_DISK: &str = r#"
    dir=$1; shift
    mount -t tmpfs -o size=4m none "$dir" && head -c 2097152 /dev/zero > "$dir/ballast" && exec "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_reads_go_on_and_appends_when_there_is_room_again() {
    for mut run in campaign::runs("D4", 3) {
        let dir = tempfile::tempdir().unwrap();
        let mut small = Command::new("unshare");
        small
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"])
            .arg(dir.path())
            .arg(PROGRAM);
        let process = Process::start_by(&mut small, dir.path());
        let ballast = format!("/proc/{}/root{}/ballast", process.child.id(), dir.path().display());
        let mut client = client(process.addr).await;
        let mut acknowledged = Vec::new();
        let size = run.rng.usize(1..60_000);
        let refused = fill(&mut client, size, &mut acknowledged).await;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.message().contains("nothing was appended"), "{refused}");
        assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), acknowledged);
        assert_eq!(process.http("/readyz").await.0, 200);

        std::fs::remove_file(ballast).unwrap();
        let before = acknowledged.len();
        let refused = fill(&mut client, size, &mut acknowledged).await;
        assert!(acknowledged.len() > before, "it goes on: {refused}");
        assert_eq!(refused.code(), Code::ResourceExhausted, "until the disk is full again: {refused}");
        assert_eq!(ids(&read(&mut client, all_options()).await.unwrap()), acknowledged);
    }
}

/// Appends events of so many bytes until one is refused.
async fn fill(client: &mut Client, size: usize, acknowledged: &mut Vec<u128>) -> tonic::Status {
    loop {
        let id = acknowledged.len() as u128 + 1;
        let large = Event { data: vec![b'x'; size], ..event(id) };
        match append(client, "a", any(), vec![large]).await {
            Ok(_) => acknowledged.push(id),
            Err(status) => return status,
        }
    }
}
