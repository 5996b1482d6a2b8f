//! Processor time, as the kernel counts it for processes.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// `/proc` counts in units of USER_HZ, which is 100 on every architecture that this project builds for.
const TICK: Duration = Duration::from_millis(10);

/// A process whose time is counted, with all that it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) pid: u32,
}

/// Processor time by the name of the program that used it.
pub(crate) type Used = BTreeMap<String, Duration>;

/// What this process has used.
pub(crate) fn of_myself() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("/proc/self/stat cannot be read")?;
    Ok(parse(&stat).context("/proc/self/stat has an unknown form")?.used)
}

/// What `servers` and all that they started have used, those included that have ended. Each server has its own name,
/// what it started has the system's.
pub(crate) fn of_trees(servers: &[Server]) -> anyhow::Result<Used> {
    let mut processes = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be listed")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may have ended since it was listed.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            let stat = parse(&stat).with_context(|| format!("/proc/{pid}/stat has an unknown form"))?;
            processes.insert(pid, stat);
        }
    }
    let mut used = Used::new();
    for (pid, stat) in &processes {
        if let Some(root) = root_of(*pid, servers, &processes) {
            let name = if root.pid == *pid { root.name } else { &stat.name };
            *used.entry(name.to_owned()).or_default() += stat.used;
        }
    }
    Ok(used)
}

/// What was used between two countings.
pub(crate) fn between(before: &Used, after: &Used) -> Used {
    after
        .iter()
        .map(|(name, used)| {
            (name.clone(), used.saturating_sub(before.get(name).copied().unwrap_or_default()))
        })
        .collect()
}

struct Stat {
    name: String,
    parent: u32,
    used: Duration,
}

/// Reads the line of `/proc/<pid>/stat`; see proc(5).
fn parse(stat: &str) -> Option<Stat> {
    // The name stands in brackets and may hold any character, brackets included.
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    // utime, stime, and both of the children that have ended.
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>()).sum::<Result<u32, _>>().ok()?;
    Some(Stat { name: name.to_owned(), parent: fields.get(1)?.parse().ok()?, used: TICK * ticks })
}

/// The server that `pid` is, or was started by.
fn root_of(pid: u32, servers: &[Server], processes: &BTreeMap<u32, Stat>) -> Option<Server> {
    let mut ancestor = pid;
    loop {
        if let Some(server) = servers.iter().find(|server| server.pid == ancestor) {
            return Some(*server);
        }
        ancestor = processes.get(&ancestor)?.parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(pid: u32) -> Server {
        Server { name: "server", pid }
    }

    #[test]
    fn a_process_is_read_with_its_name_its_parent_and_its_time_even_when_the_name_has_brackets() {
        let stat = "7 (a (b) c) S 3 7 7 0 -1 4194304 100 200 0 0 150 50 25 5 20 0 1 0 9 1 2";
        let Stat { name, parent, used } = parse(stat).unwrap();
        assert_eq!((name.as_str(), parent, used), ("a (b) c", 3, Duration::from_millis(2300)));
    }

    #[test]
    fn a_tree_is_the_root_and_all_below_it() {
        let process = |parent| Stat { name: String::new(), parent, used: TICK };
        let processes = BTreeMap::from([(1, process(0)), (2, process(1)), (3, process(2)), (4, process(1))]);
        let tree: Vec<u32> =
            (1..=4).filter(|pid| root_of(*pid, &[server(2)], &processes).is_some()).collect();
        assert_eq!(tree, [2, 3]);
    }

    #[test]
    fn this_test_uses_processor_time_of_its_own_tree() {
        while of_myself().unwrap() < TICK {}
        let used = of_trees(&[server(std::process::id())]).unwrap();
        assert!(used["server"] >= TICK, "{used:?}");
    }
}
