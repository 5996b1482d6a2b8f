//! Every operation is asked what its OpenAPI document allows and forbids (schemathesis): nothing fails, and no answer differs from it.

use campaign::Run;
use e2e::{Place, System, installed};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

/// How many cases there are at most of each operation, beside those that its document gives by itself.
const CASES: &str = "50";

/// How many there are at least in a run, of both documents.
const ENOUGH: u64 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_document_tells() {
    for run in campaign::runs("S1", 1) {
        // However busy the machine is, the store answers in that time: no command has to be told that it does not.
        let system = System::start_with(Arc::new(Place::new()), &[("STORE_TIMEOUT_MS", "19000")]).await;
        for book in 1..=30 {
            system.command_api().warehouse(book, book).await.json(201);
        }
        let (commands, queries) = (system.address("commandApi"), system.address("queryApi"));
        let (commands, queries) = tokio::join!(asked(commands, &run), asked(queries, &run));
        let mut cases = 0;
        for output in [commands, queries] {
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{said}");
            cases += number_before(" generated, ", &said);
        }
        assert!(cases >= ENOUGH, "{cases} cases");
    }
}

/// What schemathesis says of the service at `base`.
async fn asked(base: &str, run: &Run) -> Output {
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis");
    let place = tempfile::tempdir().unwrap();
    let mut python = Command::new("python3");
    python
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(settings.join("schemathesis.toml"))
        .args(["run", &format!("{base}/openapi.json"), "--seed", &run.seed.to_string()])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", CASES, "--continue-on-failure"])
        // What follows changes has no end; `query-api/tests/http/changes.rs` asks it what its document allows and forbids.
        .args(["--exclude-path-regex", "/changes$", "--generation-database", "none", "--no-color"])
        .env("PYTHONPATH", std::env::join_paths([installed("schemathesis"), settings]).unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("NO_PROXY", "*")
        .current_dir(place.path());
    tokio::task::spawn_blocking(move || {
        let output = python.output().unwrap();
        drop(place);
        output
    })
    .await
    .unwrap()
}

fn number_before(what: &str, said: &str) -> u64 {
    let before = said.split(what).next().unwrap().rsplit(' ').next();
    before.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no number{what}: {said}"))
}
