//! What a run gives: a table for people, JSON for programs. Every figure in it comes from a round of this run.

mod spread;
mod table;

use crate::Plan;
use crate::round::Round;
use domain::Timestamp;
use serde::Serialize;
use spread::Spread;
use std::collections::BTreeMap;
use std::num::NonZero;

/// Who was measured, and with how many callers at once.
type Contestant = (&'static str, usize);

/// Everything that was measured in one run.
#[derive(Debug)]
pub(crate) struct Report {
    heading: Heading,
    measured: Vec<(Contestant, Vec<Round>)>,
    compared: Vec<(Contestant, Contestant)>,
    memory: Vec<Memory>,
}

/// When and where.
#[derive(Debug, Clone, Serialize)]
struct Heading {
    bench: &'static str,
    at: Timestamp,
    cores: usize,
    rounds: u32,
    seconds: f64,
}

/// What the rounds of one contestant come to.
#[derive(Debug, Serialize)]
struct Summary {
    what: &'static str,
    callers: usize,
    /// Calls or events in a second.
    rate: Spread,
    p50_ms: Option<Spread>,
    p99_ms: Option<Spread>,
    /// Processor time for each call or event, by program; `generator` is the bench itself.
    cpu_us: BTreeMap<String, Spread>,
}

/// How the rates of two contestants compare, round by round.
#[derive(Debug, Serialize)]
struct Ratio {
    what: &'static str,
    to: &'static str,
    callers: usize,
    ratio: Spread,
}

/// The most memory that a process has had.
#[derive(Clone, Debug, Serialize)]
struct Memory {
    what: &'static str,
    peak_mib: f64,
}

/// The whole report as it is written.
#[derive(Debug, Serialize)]
struct Written {
    #[serde(flatten)]
    heading: Heading,
    measured: Vec<Summary>,
    ratios: Vec<Ratio>,
    memory: Vec<Memory>,
}

impl Report {
    pub(crate) fn new(bench: &'static str, plan: Plan) -> anyhow::Result<Self> {
        let heading = Heading {
            bench,
            at: Timestamp::from_unix_micros(service_kit::clock::unix_micros())?,
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            rounds: plan.rounds,
            seconds: plan.span.measured.as_secs_f64(),
        };
        Ok(Self { heading, measured: Vec::new(), compared: Vec::new(), memory: Vec::new() })
    }

    /// Takes in a round of `what` with so many callers.
    pub(crate) fn add(&mut self, what: &'static str, callers: usize, round: Round) {
        crate::progress(format_args!("{what}, {callers} at once: {:.0}/s", round.rate()));
        let contestant = (what, callers);
        match self.measured.iter_mut().find(|(known, _)| *known == contestant) {
            Some((_, rounds)) => rounds.push(round),
            None => self.measured.push((contestant, vec![round])),
        }
    }

    /// Asks for the ratio of the rates of `what` and its limit, each with so many callers.
    pub(crate) fn compare(&mut self, what: Contestant, limit: Contestant) {
        self.compared.push((what, limit));
    }

    /// Takes in the most memory that a process has had.
    pub(crate) fn memory(&mut self, what: &'static str, peak_mib: f64) {
        self.memory.push(Memory { what, peak_mib });
    }

    /// The report as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&self.written())? + "\n")
    }

    fn written(&self) -> Written {
        Written {
            heading: self.heading.clone(),
            measured: self
                .measured
                .iter()
                .filter_map(|(contestant, rounds)| summary(*contestant, rounds))
                .collect(),
            ratios: self.compared.iter().filter_map(|(what, limit)| self.ratio(*what, *limit)).collect(),
            memory: self.memory.clone(),
        }
    }

    fn ratio(&self, what: Contestant, limit: Contestant) -> Option<Ratio> {
        let pairs = self.rounds_of(what)?.iter().zip(self.rounds_of(limit)?);
        let ratio = Spread::of(pairs.map(|(ours, limit)| ours.rate() / limit.rate()))?;
        Some(Ratio { what: what.0, to: limit.0, callers: what.1, ratio })
    }

    fn rounds_of(&self, contestant: Contestant) -> Option<&[Round]> {
        self.measured.iter().find(|(known, _)| *known == contestant).map(|(_, rounds)| rounds.as_slice())
    }
}

fn summary((what, callers): Contestant, rounds: &[Round]) -> Option<Summary> {
    Some(Summary {
        what,
        callers,
        rate: Spread::of(rounds.iter().map(Round::rate))?,
        p50_ms: quantile(rounds, 0.5),
        p99_ms: quantile(rounds, 0.99),
        cpu_us: cpu(rounds),
    })
}

fn quantile(rounds: &[Round], quantile: f64) -> Option<Spread> {
    #[allow(clippy::cast_precision_loss, reason = "three digits of it are right anyway")]
    let nanos_to_ms = |nanos: u64| nanos as f64 / 1e6;
    let latencies = rounds.iter().filter_map(|round| round.latencies.as_ref());
    Spread::of(latencies.map(|latencies| nanos_to_ms(latencies.value_at_quantile(quantile))))
}

fn cpu(rounds: &[Round]) -> BTreeMap<String, Spread> {
    let mut programs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for round in rounds {
        for (program, used) in &round.servers {
            programs.entry(program.clone()).or_default().push(round.micros_each(*used));
        }
        programs.entry("generator".to_owned()).or_default().push(round.micros_each(round.generator));
    }
    programs.into_iter().filter_map(|(program, each)| Some((program, Spread::of(each)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Span;
    use crate::{cpu, round};
    use std::time::Duration;

    fn round(count: u64) -> Round {
        let mut latencies = round::latencies().unwrap();
        round::record(&mut latencies, Duration::from_millis(2));
        Round {
            count,
            elapsed: Duration::from_secs(2),
            latencies: Some(latencies),
            servers: cpu::Used::from([("bookstock".to_owned(), Duration::from_secs(1))]),
            generator: Duration::from_millis(100),
        }
    }

    fn report() -> Report {
        let plan = Plan { span: Span::of(Duration::from_secs(2)), rounds: 3 };
        let mut report = Report::new("commands", plan).unwrap();
        for (ours, limit) in [(2_000, 4_000), (1_000, 10_000), (4_000, 20_000)] {
            report.add("bookstock", 64, round(ours));
            report.add("durable route", 64, round(limit));
        }
        report.compare(("bookstock", 64), ("durable route", 64));
        report.memory("bookstock", 63.96);
        report
    }

    #[test]
    fn a_report_has_the_median_and_the_spread_of_the_rounds_and_of_their_ratios() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        let ours = &json["measured"][0];
        assert_eq!(ours["rate"], serde_json::json!({"median": 1000.0, "min": 500.0, "max": 2000.0}));
        assert_eq!(ours["cpu_us"]["bookstock"]["median"], 500.0);
        assert_eq!(ours["cpu_us"]["generator"]["max"], 100.0);
        assert_eq!(json["ratios"][0]["ratio"], serde_json::json!({"median": 0.2, "min": 0.1, "max": 0.5}));
        assert_eq!(json["memory"][0]["peak_mib"], 63.96);
    }

    #[test]
    fn the_table_says_the_same_to_people() {
        let table = report().to_string();
        let ours = table.lines().find(|line| line.starts_with("bookstock")).unwrap();
        for figure in ["64", "1,000", "500 - 2,000", "2.00", "bookstock 500.0", "generator 50.0"] {
            assert!(ours.contains(figure), "{figure} is not in {ours}");
        }
        assert!(table.contains("bookstock / durable route, 64 at once: 0.20 (0.10 - 0.50)"), "{table}");
        assert!(table.contains("bookstock: at most 64.0 MiB of memory"), "{table}");
    }
}
