//! HAL, `application/hal+json`: the form of every answer.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use service_kit::Problem;
use std::collections::BTreeMap;

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/hal+json";

/// Links by their relations.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Links(BTreeMap<&'static str, Link>);

#[derive(Debug, serde::Serialize)]
struct Link {
    href: String,
}

/// The links of one row: it is a `kind`, and it is at `href`.
pub(super) struct LinksOfRow<'a> {
    pub(super) kind: &'static str,
    pub(super) href: &'a str,
}

impl Serialize for LinksOfRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct To<'a> {
            href: &'a str,
        }
        let link = To { href: self.href };
        let mut links = serializer.serialize_map(Some(2))?;
        links.serialize_entry(self.kind, &link)?;
        links.serialize_entry("self", &link)?;
        links.end()
    }
}

impl Links {
    pub(super) fn add(&mut self, relation: &'static str, href: String) {
        self.0.insert(relation, Link { href });
    }
}

/// A page of a list.
#[derive(serde::Serialize)]
pub(super) struct Collection<Row, Numbers> {
    #[serde(rename = "_embedded")]
    embedded: BTreeMap<&'static str, Vec<Row>>,
    #[serde(rename = "_links")]
    links: Links,
    page: Numbers,
}

impl<Row, Numbers> Collection<Row, Numbers> {
    /// The rows of a page under `name`.
    pub(super) fn new(name: &'static str, rows: Vec<Row>, links: Links, page: Numbers) -> Self {
        Self { embedded: BTreeMap::from([(name, rows)]), links, page }
    }
}

/// A document as it is sent.
pub(super) fn document(resource: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(resource).map_err(|error| Problem::internal(&error))
}
