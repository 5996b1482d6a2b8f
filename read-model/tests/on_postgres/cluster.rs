//! A real PostgreSQL for tests: one throw-away cluster for each test process, and a database of its own for each test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use tokio_postgres::NoTls;

/// A cluster that ends with this value, or with the process, however that ends.
pub(crate) struct Cluster {
    directory: String,
    control: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
    shell: Child,
}

/// The address of a new, empty database in the cluster that all tests of this process share.
pub(crate) async fn database(name: &str) -> String {
    static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);
    SHARED.database(name).await
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mut command = unprivileged_shell();
        command
            .args(["-c", include_str!("cluster.sh"), "cluster"])
            .arg(installed_binaries().unwrap_or_default());
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("PG") || name.starts_with("LC_") {
                command.env_remove(&variable);
            }
        }
        let mut shell = command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let commands = shell.stdin.take().expect("it has a standard input");
        let mut answers = BufReader::new(shell.stdout.take().expect("it has a standard output"));
        let mut directory = String::new();
        answers.read_line(&mut directory).expect("it prints a line");
        assert!(
            !directory.is_empty(),
            "PostgreSQL did not start (see above); install its server: apt-get install postgresql"
        );
        Self { directory: directory.trim().to_owned(), control: Some(Mutex::new((commands, answers))), shell }
    }

    pub(crate) async fn database(&self, name: &str) -> String {
        let url = |name: &str| format!("postgres://bookstock@localhost/{name}?host={}", self.directory);
        let (client, connection) =
            tokio_postgres::connect(&url("postgres"), NoTls).await.expect("PostgreSQL is up");
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("the name is free");
        url(name)
    }

    /// `stop`, `kill`, `start`, `freeze` or `thaw`.
    pub(crate) fn command(&self, command: &str) {
        let control = self.control.as_ref().expect("only a drop takes it");
        let (commands, answers) = &mut *control.lock().expect("no command panicked");
        writeln!(commands, "{command}").expect("the shell listens");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("the shell answers");
        assert_eq!(answer.trim(), command);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its input ends, and with it the server and the directory.
        drop(self.control.take());
        let _ = self.shell.wait();
    }
}

/// PostgreSQL refuses to run as root.
fn unprivileged_shell() -> Command {
    let id = |arguments: &[&str]| Command::new("id").args(arguments).output().expect("id is installed");
    if id(&["-u"]).stdout != b"0\n" {
        return Command::new("sh");
    }
    let user = if id(&["-u", "postgres"]).status.success() { "postgres" } else { "nobody" };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={user}")]).args(["--clear-groups", "sh"]);
    command
}

fn installed_binaries() -> Option<String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .flatten()
        .max_by_key(|entry| entry.file_name().to_str().and_then(|version| version.parse::<u32>().ok()))?;
    Some(newest.path().join("bin").to_string_lossy().into_owned())
}
