//! What the services log, for programs that search it.

use crate::{Guarded, SERVICES};
use serde_json::Value;

/// Each line of each service is one, with what one searches by.
pub(crate) fn every_line_is_a_document(guarded: &Guarded) {
    for name in SERVICES.into_iter().chain(["event-store"]) {
        let mut requests = 0;
        for line in guarded.topology.log(name).lines() {
            let told: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            let field = |field: &str| {
                told[field].as_str().unwrap_or_else(|| panic!("{name}: no {field} in {line}")).to_owned()
            };
            let (timestamp, level) = (field("timestamp"), field("level"));
            assert!(
                timestamp.len() >= 20 && timestamp.ends_with('Z') && timestamp.contains('T'),
                "{name}: {line}"
            );
            assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&level.as_str()), "{name}: {line}");
            assert!(!field("target").is_empty(), "{name}: {line}");
            for (name_of_it, value) in told.as_object().unwrap() {
                let is_duration = ["_us", "_ms", "_secs"].iter().any(|unit| name_of_it.ends_with(unit));
                assert!(!is_duration || value.is_u64(), "{name}: {name_of_it} is no number: {line}");
            }
            if told["message"] == "request" {
                for id in ["method", "path", "request_id"] {
                    assert!(!field(id).is_empty(), "{name}: {line}");
                }
                assert!(told["status"].is_u64() && told["elapsed_us"].is_u64(), "{name}: {line}");
                requests += 1;
            }
        }
        assert!(requests > 0, "{name} logged no request");
    }
    // What HAProxy says of itself is no JSON.
    let gateway = guarded.topology.log("gateway");
    let requests: Vec<Value> = gateway
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("gateway: {error}: {line}")))
        .collect();
    assert!(requests.len() > 100, "the gateway logged {} requests", requests.len());
    for told in requests {
        for id in ["timestamp", "level", "message", "method", "request_id", "service", "ended"] {
            assert!(told[id].as_str().is_some_and(|text| !text.is_empty()), "gateway: no {id} in {told}");
        }
    }
}
