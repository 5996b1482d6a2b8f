//! What Linux tells of this process, under the names that Prometheus clients use everywhere.

use super::Gauge;
use std::fs;

static RESIDENT: Gauge<0> =
    Gauge::new("process_resident_memory_bytes", "Memory of this process that is in RAM.", []);
static VIRTUAL: Gauge<0> = Gauge::new("process_virtual_memory_bytes", "Address space of this process.", []);
/// The registry counts in whole numbers only: a gauge there, this is a counter in what is shown.
static CPU: Gauge<0> =
    Gauge::new("process_cpu_seconds_total", "CPU time that this process took, user and system.", []);
static THREADS: Gauge<0> = Gauge::new("process_threads", "Threads of this process.", []);
static OPEN_FDS: Gauge<0> =
    Gauge::new("process_open_fds", "File descriptors that this process has open.", []);

/// The unit of times in `/proc` as user programs see it, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sets them to what they are now. Where there is no `/proc` they are left out.
pub(super) fn measure() {
    if let Some((virtual_kib, resident_kib, threads)) =
        fs::read_to_string("/proc/self/status").ok().and_then(|text| status(&text))
    {
        VIRTUAL.of([]).set(virtual_kib * 1_024.0);
        RESIDENT.of([]).set(resident_kib * 1_024.0);
        THREADS.of([]).set(threads);
    }
    if let Some(ticks) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu_ticks(&text)) {
        CPU.of([]).set(ticks / TICKS_PER_SECOND);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        OPEN_FDS.of([]).set(open.fold(0.0, |count, _| count + 1.0));
    }
}

/// What is shown, with the CPU time told as the counter that it is.
pub(super) fn told(text: &str) -> String {
    text.replacen("# TYPE process_cpu_seconds_total gauge\n", "# TYPE process_cpu_seconds_total counter\n", 1)
}

fn status(text: &str) -> Option<(f64, f64, f64)> {
    let number = |name| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    Some((number("VmSize:")?, number("VmRSS:")?, number("Threads:")?))
}

/// User and system time. The name in parentheses, which may hold anything, comes before.
fn cpu_ticks(text: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_where_linux_writes_them() {
        let text = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t     12 kB\nThreads:\t7\n";
        assert_eq!(status(text), Some((2_048.0, 12.0, 7.0)));
        assert_eq!(status("Name:\tx\n"), None);
        assert_eq!(cpu_ticks("7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 250 17 0 0 20"), Some(267.0));
        assert_eq!(cpu_ticks("nothing"), None);
    }
}
