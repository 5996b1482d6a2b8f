//! The report for people.

use super::spread::Spread;
use super::{Memory, Ratio, Report, Summary, Written};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { heading, measured, ratios, memory } = self.written();
        let (bench, at, cores) = (heading.bench, heading.at, heading.cores);
        let (rounds, seconds) = (heading.rounds, heading.seconds);
        writeln!(out, "{bench}: {rounds} rounds of {seconds} s in turns, {cores} cores, {at}\n")?;
        writeln!(
            out,
            "{:<30}{:>8}{:>11}  {:<23}{:>9}{:>9}  CPU µs each",
            "", "at once", "rate /s", "(min - max)", "p50 ms", "p99 ms"
        )?;
        for summary in &measured {
            row(out, summary)?;
        }
        writeln!(out)?;
        for Ratio { what, to, callers, ratio: Spread { median, min, max } } in &ratios {
            writeln!(out, "{what} / {to}, {callers} at once: {median:.2} ({min:.2} - {max:.2})")?;
        }
        for Memory { what, peak_mib } in &memory {
            writeln!(out, "{what}: at most {peak_mib:.1} MiB of memory")?;
        }
        Ok(())
    }
}

fn row(out: &mut fmt::Formatter<'_>, summary: &Summary) -> fmt::Result {
    let Summary { what, callers, rate, p50_ms, p99_ms, cpu_us } = summary;
    let spread = format!("({} - {})", thousands(rate.min), thousands(rate.max));
    let latency = |ms: &Option<Spread>| ms.map_or("-".to_owned(), |ms| format!("{:.2}", ms.median));
    let cpu: Vec<String> =
        cpu_us.iter().map(|(program, each)| format!("{program} {:.1}", each.median)).collect();
    writeln!(
        out,
        "{what:<30}{callers:>8}{:>11}  {spread:<23}{:>9}{:>9}  {}",
        thousands(rate.median),
        latency(p50_ms),
        latency(p99_ms),
        cpu.join(", ")
    )
}

/// A whole number with its thousands apart.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let numbers = [0.4, 999.0, 1_000.0, 1_234_567.8].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,568"]);
    }
}
