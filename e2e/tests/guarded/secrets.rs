//! Secrets that were given to the topology, or sent to it, are looked for wherever it says something: S8.

use crate::{Guarded, SERVICES};
use std::fs;
use std::path::{Path, PathBuf};

/// What Prometheus logs in with.
pub(crate) const OF_PROMETHEUS: &str = "operator-secret";

/// What the services show to the collector of their traces.
pub(crate) const OF_THE_COLLECTOR: &str = "planted-5b2e7a";

/// What clients send where it does not belong.
const OF_A_CLIENT: &str = "planted-3f9c1d";

pub(crate) async fn no_log_metric_or_answer_tells_one(guarded: &Guarded, withdrawn: &str) {
    let mut told = all_answers(guarded).await;
    let place = guarded.topology.place().path();
    // The page of the provider is none of ours.
    let ours = |path: &PathBuf| !path.to_string_lossy().contains("identity");
    for folder in ["topology/logs", "logs"] {
        let files = fs::read_dir(place.join(folder)).unwrap().map(|file| file.unwrap().path());
        told.extend(files.filter(ours).map(|file| (file.display().to_string(), text(&file))));
    }
    for file in ["topology/topology.json", "topology/prometheus/prometheus.yml"] {
        told.push((file.to_owned(), text(&place.join(file))));
    }
    let size: usize = told.iter().map(|(_, text)| text.len()).sum();
    assert!(size > 100_000, "hardly anything was said: {size} bytes");
    // A token is known by its signature.
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let tokens = [withdrawn, &guarded.reader, &guarded.librarian, &guarded.operator].map(signature);
    for secret in
        [OF_PROMETHEUS, OF_THE_COLLECTOR, OF_A_CLIENT].into_iter().chain(tokens.iter().map(String::as_str))
    {
        for (whence, text) in &told {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{whence} tells {secret}");
        }
    }
}

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()
}

/// What everybody answers to who shows a good token, and to who does not, and where that was.
async fn all_answers(guarded: &Guarded) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for name in ["gateway"].into_iter().chain(SERVICES) {
        let site = guarded.topology.site(name);
        for token in [OF_A_CLIENT, &guarded.librarian, &guarded.operator] {
            let paths = ["/readyz", "/metrics", "/status", "/openapi.json", "/books/1", "/libraries/1"];
            let with_a_secret = format!("/books?size=1&access_token={OF_A_CLIENT}");
            for path in paths.into_iter().chain([with_a_secret.as_str()]) {
                let answer = site.bearing(token).get(path).await;
                answers.push((format!("{name} at {path}"), format!("{:?}\n{}", answer.headers, answer.text)));
            }
        }
    }
    let prometheus = guarded.topology.site("prometheus");
    for path in ["/api/v1/status/config", "/api/v1/status/flags", "/api/v1/targets", "/metrics"] {
        answers.push((format!("Prometheus at {path}"), prometheus.get(path).await.text));
    }
    answers
}
