//! Who may do what: OAuth 2.0 bearer tokens of one OpenID Connect issuer (RFC 6750, RFC 9068), checked in each service.
//!
//! Without an issuer everything is open, and then a service listens on loopback only (see [`crate::listen`]). With one,
//! what has no valid token is refused, and a token opens only what its scopes name. Absent on purpose: sessions, users,
//! passwords, and any way to let a request in when something about its token cannot be checked.

mod access;
mod discovery;
mod guard;
mod keys;
mod settings;
mod token;

pub use access::Scope;
pub(crate) use access::needed;
pub use guard::Auth;
pub(crate) use guard::PROBLEMS;
pub use settings::{AuthSettings, Issuer};
pub use token::Caller;
