//! Who this projector is, among all that may run on one database.

/// A name that no other projector has, for the lease and for the operator who reads it there.
pub(crate) fn name() -> String {
    // In containers process ids repeat, and so may host names: the time tells restarts apart.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{}", host.trim(), std::process::id(), service_kit::clock::unix_micros())
}
