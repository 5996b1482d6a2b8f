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

/// What shows the machinery. How far the views are, at `/status`, is for everybody who reads them.
const OPS: [&str; 1] = ["/metrics"];

/// gRPC services that answer without a token: probes, and the description of the interface.
const OPEN_CALLS: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The scope that a request needs; none if it is open to all. What is not listed is a question if its method is a safe
/// one, else a command, so that a route that somebody forgot is never too open. A gRPC call is a question if its name
/// begins with `Get`.
pub(crate) fn needed(method: &Method, path: &str) -> Option<Scope> {
    if let Some((service, call)) = call(path) {
        return match () {
            () if OPEN_CALLS.contains(&service) => None,
            () if call.starts_with("Get") => Some(Scope::Read),
            () => Some(Scope::Write),
        };
    }
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

/// The service and the method of a gRPC call's path, `/package.Service/Method`.
fn call(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (package, _) = service.split_once('.')?;
    (!package.is_empty() && !method.contains('/')).then_some((service, method))
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
            (Method::GET, "/status", Some(Scope::Read)),
            (Method::GET, "/books", Some(Scope::Read)),
            (Method::GET, "/libraries/1", Some(Scope::Read)),
            (Method::POST, "/libraries", Some(Scope::Write)),
            (Method::DELETE, "/books/1", Some(Scope::Write)),
            (Method::OPTIONS, "/books", Some(Scope::Write)),
            (Method::GET, super::super::guard::METADATA_PATH, None),
            (Method::POST, "/grpc.health.v1.Health/Watch", None),
            (Method::POST, "/grpc.health.v1.Healthy/Check", Some(Scope::Write)),
            (Method::POST, "/bookstock.v1.Books/GetBook", Some(Scope::Read)),
            (Method::POST, "/bookstock.v1.Books/Renew", Some(Scope::Write)),
            (Method::GET, "/bookstock.v1.Books/Renew", Some(Scope::Write)),
            (Method::POST, "/bookstock.v1.Books/Renew/GetBook", Some(Scope::Write)),
        ] {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }
}
