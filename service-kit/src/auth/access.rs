//! Which scope a request needs: one table for all services.

use axum::http::Method;
use std::fmt;

/// What a token may allow. The names are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `books:read`: to ask.
    Read,
    /// `books:write`: to command.
    Write,
    /// `ops`: to look into the machinery.
    Ops,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Ops];

    /// The scope as tokens name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "books:read",
            Self::Write => "books:write",
            Self::Ops => "ops",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What answers without a token: the page, which is empty without one, probes, the description of the interface, and where
/// tokens come from.
const OPEN: [&str; 5] = ["/", "/livez", "/readyz", "/openapi.json", super::guard::METADATA_PATH];

/// As [`OPEN`], with all that is below.
const OPEN_BELOW: [&str; 2] = ["/docs", "/web"];

/// What shows the machinery.
const OPS: [&str; 2] = ["/metrics", "/status"];

/// The scope that a request needs; none if it is open to all. What is not listed is a question if its method is a safe
/// one, else a command, so that a route that somebody forgot is never too open.
pub(crate) fn needed(method: &Method, path: &str) -> Option<Scope> {
    let asks = *method == Method::GET || *method == Method::HEAD;
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if asks && (OPEN.contains(&path) || OPEN_BELOW.into_iter().any(below)) {
        None
    } else if OPS.contains(&path) {
        Some(Scope::Ops)
    } else if asks {
        Some(Scope::Read)
    } else {
        Some(Scope::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_the_scope_of_what_it_does() {
        for (method, path, scope) in [
            (Method::GET, "/livez", None),
            (Method::HEAD, "/readyz", None),
            (Method::POST, "/livez", Some(Scope::Write)),
            (Method::GET, "/", None),
            (Method::GET, "/web/main.js", None),
            (Method::GET, "/docs", None),
            (Method::GET, "/docs/index.css", None),
            (Method::GET, "/docsx", Some(Scope::Read)),
            (Method::GET, "/livez/", Some(Scope::Read)),
            (Method::GET, "/metrics", Some(Scope::Ops)),
            (Method::GET, "/books", Some(Scope::Read)),
            (Method::GET, "/libraries/1", Some(Scope::Read)),
            (Method::POST, "/libraries", Some(Scope::Write)),
            (Method::DELETE, "/books/1", Some(Scope::Write)),
            (Method::OPTIONS, "/books", Some(Scope::Write)),
        ] {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }
}
