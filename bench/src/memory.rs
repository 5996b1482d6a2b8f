//! The memory of a process, as the kernel counts it.

use anyhow::Context as _;
use std::fs;

/// The most memory that the process has had resident at any time, in MiB; see proc_pid_status(5), `VmHWM`.
pub(crate) fn peak_mib(pid: u32) -> anyhow::Result<f64> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).with_context(|| format!("{file} cannot be read"))?;
    parse(&status).with_context(|| format!("{file} has an unknown form"))
}

fn parse(status: &str) -> Option<f64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kib.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_its_line() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t  3072 kB\nVmRSS:\t 12 kB\n"), Some(3.0));
        assert!(peak_mib(std::process::id()).unwrap() > 0.1);
    }
}
