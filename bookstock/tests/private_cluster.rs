//! A private PostgreSQL is durable, ours alone, and comes back by itself, as root and as anybody else.
#![cfg(test)]

use bookstock::postgres::{ClusterError, PrivateCluster};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// A data directory whose socket directory goes with it.
struct DataDirectory(tempfile::TempDir);

impl DataDirectory {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // As it is in a checkout: others may pass through.
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn status_file(&self) -> PathBuf {
        self.path().join("postgres/postmaster.pid")
    }

    fn postmaster(&self) -> Pid {
        let text = std::fs::read_to_string(self.status_file()).unwrap();
        Pid::from_raw(text.lines().next().unwrap().trim().parse().unwrap()).unwrap()
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn notes(client: &Client) -> Vec<i32> {
    let rows = client.query("SELECT number FROM notes ORDER BY number", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_stop() {
    let directory = DataDirectory::new();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let url = cluster.url();
    connect(&url)
        .await
        .batch_execute("CREATE TABLE notes (number INT); INSERT INTO notes VALUES (1)")
        .await
        .unwrap();
    cluster.stop().await;
    assert!(!directory.status_file().exists(), "the stop was not an orderly one");

    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    assert_eq!(cluster.url(), url, "the address outlives a restart");
    assert_eq!(notes(&connect(&url).await).await, [1]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_comes_back_with_all_that_was_committed() {
    let directory = DataDirectory::new();
    let mut cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let client = connect(&cluster.url()).await;
    client.batch_execute("CREATE TABLE notes (number INT)").await.unwrap();
    for round in 1..=5 {
        let client = connect(&cluster.url()).await;
        client.execute("INSERT INTO notes VALUES ($1)", &[&round]).await.unwrap();
        kill_process(directory.postmaster(), Signal::KILL).unwrap();
        let how = cluster.ended().await;
        assert!(how.contains("signal: 9"), "{how}");
        drop(cluster);

        cluster = PrivateCluster::start(directory.path()).await.unwrap();
        assert_eq!(notes(&connect(&cluster.url()).await).await, (1..=round).collect::<Vec<_>>());
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_lock_file_that_names_a_process_of_somebody_else_does_not_stop_the_start() {
    let directory = DataDirectory::new();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let left_behind = std::fs::read_to_string(directory.status_file()).unwrap();
    let sockets = left_behind.lines().nth(4).unwrap().to_owned();
    cluster.stop().await;

    // This very process stands for the one that got the id of the server that crashed.
    let others =
        left_behind.replacen(left_behind.lines().next().unwrap(), &std::process::id().to_string(), 1);
    std::fs::write(directory.status_file(), &others).unwrap();
    std::fs::create_dir(&sockets).unwrap();
    let owner = directory.path().join("postgres").metadata().unwrap().uid();
    chown(&sockets, Some(owner), None).unwrap();
    std::fs::set_permissions(&sockets, Permissions::from_mode(0o700)).unwrap();
    std::fs::write(Path::new(&sockets).join(".s.PGSQL.5432.lock"), &others).unwrap();

    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    assert_ne!(directory.postmaster().as_raw_pid().unsigned_abs(), std::process::id());
    cluster.stop().await;
}

#[tokio::test]
async fn a_second_start_on_the_same_directory_is_refused() {
    let directory = DataDirectory::new();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let error = PrivateCluster::start(directory.path()).await.unwrap_err();
    assert!(matches!(error, ClusterError::InUse(_)), "{error}");
    connect(&cluster.url()).await.batch_execute("SELECT 1").await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn the_making_of_a_cluster_that_was_cut_short_begins_again() {
    let directory = DataDirectory::new();
    let unfinished = directory.path().join("postgres.new");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    connect(&cluster.url()).await.batch_execute("SELECT 1").await.unwrap();
    assert!(!unfinished.exists());
    cluster.stop().await;
}

#[tokio::test]
async fn readers_read_what_the_group_of_readers_may_read_and_write_nothing() {
    let directory = DataDirectory::new();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let owner = connect(&cluster.url()).await;
    let shown = "CREATE TABLE notes (number INT); GRANT SELECT ON notes TO bookstock_reader";
    owner.batch_execute(shown).await.unwrap();
    owner.batch_execute("CREATE ROLE another NOLOGIN").await.unwrap();

    let reader = connect(&cluster.read_url()).await;
    assert_eq!(notes(&reader).await, [0; 0]);
    for forbidden in ["INSERT INTO notes VALUES (1)", "CREATE TABLE mine ()", "CREATE ROLE mine"] {
        let error = reader.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{forbidden}: {error}");
    }
    reader.batch_execute("SET ROLE bookstock_reader").await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn nothing_in_the_settings_of_the_server_gives_durability_away() {
    let directory = DataDirectory::new();
    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    let client = connect(&cluster.url()).await;
    for setting in ["fsync", "full_page_writes", "synchronous_commit", "autovacuum", "data_checksums"] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "on", "{setting}");
    }
    let row = client.query_one("SHOW listen_addresses", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "");
    cluster.stop().await;
}

#[tokio::test]
async fn when_the_process_that_owns_it_is_killed_it_ends_and_comes_back() {
    let directory = DataDirectory::new();
    let mut owner = launch(&directory);
    let url = published(&directory, &mut owner).await;
    let client = connect(&url).await;
    client.batch_execute("CREATE TABLE notes (number INT); INSERT INTO notes VALUES (1)").await.unwrap();
    let server = directory.postmaster();
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the orphaned server has ended", || test_kill_process(server).is_err()).await;

    let cluster = PrivateCluster::start(directory.path()).await.unwrap();
    assert_eq!(cluster.url(), url);
    assert_eq!(notes(&connect(&url).await).await, [1]);
    cluster.stop().await;
}

/// Starts the launcher on free ports.
fn launch(directory: &DataDirectory) -> Child {
    let mut up = Command::new(env!("CARGO_BIN_EXE_bookstock"));
    up.args(["up", "--data-dir"]).arg(directory.path());
    let parts =
        ["--gateway", "--command-api", "--grpc", "--query-api", "--admin", "--projector", "--event-store"];
    for part in parts {
        up.args([part, "127.0.0.1:0"]);
    }
    for inherited in ["DATABASE_URL", "EVENT_STORE_URL"] {
        up.env_remove(inherited);
    }
    up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The address of the database, when the launcher is ready.
async fn published(directory: &DataDirectory, launcher: &mut Child) -> String {
    let file = directory.path().join("bookstock.json");
    eventually("the launcher is ready or has ended", || {
        file.exists() || launcher.try_wait().unwrap().is_some()
    })
    .await;
    let addresses: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    addresses["database"].as_str().unwrap().to_owned()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: this did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
