//! The document of a gateway, for services that are behind it together and do not know each other.

use super::Routes;
use super::document::{document, open_to_all};
use serde_json::Value;
use std::fmt;

/// What every service answers, and a gateway nobody.
const INSIDE: &str = "/metrics";

/// The document of all that is behind a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole(Value);

impl Whole {
    /// Of a gateway in front of these routes.
    #[must_use]
    pub fn of(routes: &Routes) -> Self {
        let mut whole = document("gateway", routes, true);
        if let Some(paths) = whole["paths"].as_object_mut() {
            paths.remove(INSIDE);
        }
        Self(whole)
    }

    /// As it was written.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }

    /// As it is shown where tokens are asked for, or not.
    pub(crate) fn shown(&self, guarded: bool) -> Value {
        let mut document = self.0.clone();
        if !guarded {
            open_to_all(&mut document);
        }
        document
    }
}

/// For people to read, and for their tools to compare.
impl fmt::Display for Whole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:#}", self.0)
    }
}
