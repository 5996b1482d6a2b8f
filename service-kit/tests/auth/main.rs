//! Authentication from outside: a real issuer over HTTP, real keys, and tokens of every kind that must not get in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod bad_tokens;
mod forged;
mod issuer;
mod keys;
mod scopes;
mod support;
