//! The connection string: what the client would panic on is refused here, what it would wait for is added.

use super::KurrentError;
use eventstore::ClientSettings;
use std::fs;

/// The client reads a CA file even for a connection without TLS, and panics if there is none: an empty one will do.
const EMPTY_FILE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The client sleeps this long before each connect, also the first; its own default is half a second.
const DISCOVERY_INTERVAL_MS: u32 = 10;

/// Turns a connection string into settings that the client neither panics on nor waits for.
pub(super) fn settings(url: &str) -> Result<ClientSettings, KurrentError> {
    if url.contains('#') {
        return Err(refused("it contains a #; write it as %23"));
    }
    let given = parse(url)?;
    check_hosts(&given)?;
    check_files(&given)?;

    let mut complete = url.to_owned();
    if !url.to_lowercase().contains("discoveryinterval=") {
        add(&mut complete, "discoveryInterval", &DISCOVERY_INTERVAL_MS.to_string());
    }
    if !given.is_secure_mode_enabled() && given.tls_ca_file().is_none() {
        add(&mut complete, "tlsCaFile", EMPTY_FILE);
    }
    parse(&complete)
}

fn parse(url: &str) -> Result<ClientSettings, KurrentError> {
    url.parse::<ClientSettings>().map_err(|error| match error.error() {
        Some(syntax) => refused(&syntax.to_string()),
        // The message may quote a part of the string, and so of a password that was not percent-encoded.
        None if url.contains('@') => refused("a part of it is not understood (percent-encode the password)"),
        None => refused(error.message()),
    })
}

fn check_hosts(settings: &ClientSettings) -> Result<(), KurrentError> {
    let usable = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    match settings.hosts().iter().find(|at| at.host.is_empty() || !at.host.chars().all(usable)) {
        Some(_) => Err(refused("a host in it is not a name or an address")),
        None => Ok(()),
    }
}

fn check_files(settings: &ClientSettings) -> Result<(), KurrentError> {
    let ca = settings.tls_ca_file().map(|file| ("tlsCaFile", file));
    let user = settings.user_certificate();
    let user = user.into_iter().flat_map(|(cert, key)| [("userCertFile", cert), ("userKeyFile", key)]);
    for (parameter, file) in ca.into_iter().chain(user) {
        fs::read(file)
            .map_err(|error| refused(&format!("its {parameter} {file} cannot be read: {error}")))?;
    }
    Ok(())
}

fn add(url: &mut String, parameter: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(parameter);
    url.push('=');
    url.push_str(value);
}

fn refused(reason: &str) -> KurrentError {
    KurrentError::ConnectionString(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_the_client_lacks_is_added_and_what_is_given_stays() {
        for url in
            ["esdb://127.0.0.1:2113?tls=false", "esdb://a:1,b:2,c:3?tls=false", "esdb://[::1]?tls=false"]
        {
            let complete = settings(url).unwrap();
            assert_eq!(complete.discovery_interval(), Duration::from_millis(10), "{url}");
            assert_eq!(complete.tls_ca_file().map(String::as_str), Some(EMPTY_FILE), "{url}");
        }
        let own =
            settings("esdb://localhost:2113?tls=false&DiscoveryInterval=77&tlsCaFile=Cargo.toml").unwrap();
        assert_eq!(own.discovery_interval(), Duration::from_millis(77));
        assert_eq!(own.tls_ca_file().map(String::as_str), Some("Cargo.toml"));
        let secure = settings("esdb://user:secret@localhost").unwrap();
        assert!(secure.is_secure_mode_enabled() && secure.tls_ca_file().is_none());
    }

    #[test]
    fn a_wrong_string_is_refused_with_advice_and_without_repeating_its_password() {
        for url in [
            "",
            "localhost:2113",
            "http://localhost:2113",
            "esdb://",
            "esdb://:2113",
            "esdb://a%20b:2113?tls=false",
            "esdb://localhost:99999?tls=false",
            "esdb://localhost:2113?tls=perhaps",
            "esdb://localhost:2113/path?tls=false",
            "esdb://a:1,b:x?tls=false",
            "esdb://user:se/cret@localhost:2113?tls=false",
            "esdb://user:se#cret@localhost:2113?tls=false",
            "esdb://user:secret@localhost:2113?discoveryInterval=soon",
            "esdb://localhost:2113?tls=false&tlsCaFile=/no/such/file",
            "esdb://localhost:2113?userCertFile=/no/such/file&userKeyFile=/no/such/file",
        ] {
            let error = settings(url).expect_err(url).to_string();
            assert!(error.contains("Write esdb://HOST:PORT?tls=false"), "{url}: {error}");
            assert!(!error.contains("cret"), "{url}: {error}");
        }
    }
}
