//! How authentication is configured.

use super::keys::BELIEVED_FOR;
use reqwest::Url;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// The highest `AUTH_KEYS_MAX_AGE`.
const MAX_KEYS_MAX_AGE_SECS: u64 = BELIEVED_FOR.as_secs() / 2;

/// The settings of authentication; each is a flag or an environment variable, and the flag wins.
#[derive(Clone, Debug, clap::Args)]
pub struct AuthSettings {
    /// Who issues the tokens: an OpenID Connect issuer, as its tokens name it. Without one everything is open, and only
    /// loopback addresses are listened on.
    #[arg(long = "auth-issuer", env = "AUTH_ISSUER", value_name = "URL")]
    pub issuer: Option<Issuer>,

    /// The audience that a token must be meant for.
    #[arg(long = "auth-audience", env = "AUTH_AUDIENCE", value_name = "NAME", default_value = "bookstock")]
    pub audience: String,

    /// The client that the librarian's page logs in as.
    #[arg(
        long = "auth-page-client",
        env = "AUTH_PAGE_CLIENT",
        value_name = "ID",
        default_value = "bookstock-page"
    )]
    pub page_client: String,

    /// After how many seconds the issuer is asked again for its keys, and so how long a key lives that it has withdrawn: at most
    /// half as long as known keys are believed, so that an outage just then locks nobody out.
    #[arg(long = "auth-keys-max-age", env = "AUTH_KEYS_MAX_AGE", value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=MAX_KEYS_MAX_AGE_SECS))]
    pub keys_max_age_secs: u64,
}

impl AuthSettings {
    pub(super) fn keys_max_age(&self) -> Duration {
        Duration::from_secs(self.keys_max_age_secs)
    }
}

/// The address of an issuer: `https`, or `http` on a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Letter for letter as it was given, because tokens are compared with it.
    name: String,
    /// Its scheme, host and port.
    origin: String,
}

/// Why a text is not the address of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIssuer {
    /// It is not an address without query, fragment and user.
    #[error("an issuer is an address such as https://id.example.org/realm")]
    NotAnAddress,
    /// What comes from there could be changed on its way.
    #[error("an issuer must be reached by https, unless it is on this machine")]
    NotProtected,
}

impl Issuer {
    /// The issuer as its tokens name it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Its scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where it describes itself (OpenID Connect Discovery 1.0, section 4).
    #[must_use]
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.name.trim_end_matches('/'))
    }
}

impl FromStr for Issuer {
    type Err = NotAnIssuer;

    fn from_str(text: &str) -> Result<Self, NotAnIssuer> {
        let url: Url = text.parse().map_err(|_| NotAnIssuer::NotAnAddress)?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !plain || url.password().is_some() || !matches!(url.scheme(), "https" | "http") {
            return Err(NotAnIssuer::NotAnAddress);
        }
        if !is_protected(&url) {
            return Err(NotAnIssuer::NotProtected);
        }
        Ok(Self { name: text.to_owned(), origin: url.origin().ascii_serialization() })
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// Whether nobody can change what comes from `url` on its way.
pub(super) fn is_protected(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let on_this_machine = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && on_this_machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        auth: AuthSettings,
    }

    #[test]
    fn keys_are_asked_for_again_long_before_nobody_believes_them() {
        let parsed = |secs: &str| Args::try_parse_from(["service", "--auth-keys-max-age", secs]);
        assert_eq!(parsed("1800").ok().unwrap().auth.keys_max_age(), BELIEVED_FOR / 2);
        for refused in ["0", "1801", "86400"] {
            assert!(parsed(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_issuer_is_reached_by_https_or_on_this_machine() {
        for good in ["https://id.example.org/realms/books", "http://127.0.0.1:9000", "http://[::1]:9000/"] {
            assert_eq!(good.parse::<Issuer>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("http://id.example.org", NotAnIssuer::NotProtected),
            ("id.example.org", NotAnIssuer::NotAnAddress),
            ("ftp://localhost", NotAnIssuer::NotAnAddress),
            ("https://id.example.org/?a=b", NotAnIssuer::NotAnAddress),
            ("https://user:secret@id.example.org", NotAnIssuer::NotAnAddress),
        ] {
            assert_eq!(bad.parse::<Issuer>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn an_issuer_describes_itself_below_its_own_path() {
        for issuer in ["https://id.example.org/realms/books", "https://id.example.org/realms/books/"] {
            assert_eq!(
                issuer.parse::<Issuer>().unwrap().discovery_url(),
                "https://id.example.org/realms/books/.well-known/openid-configuration"
            );
            assert_eq!(issuer.parse::<Issuer>().unwrap().origin(), "https://id.example.org");
        }
    }
}
