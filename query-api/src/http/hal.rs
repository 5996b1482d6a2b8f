//! HAL, `application/hal+json`: the form of every answer.

use serde::Serialize;
use service_kit::Problem;
use std::collections::BTreeMap;

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/hal+json";

/// Links by their relations.
#[derive(Debug, Default, Serialize)]
pub(super) struct Links(BTreeMap<&'static str, Link>);

#[derive(Debug, Serialize)]
struct Link {
    href: String,
}

impl Links {
    /// The links of one row: it is a `kind`, and it is at `href`.
    pub(super) fn of_row(kind: &'static str, href: String) -> Self {
        let mut links = Self::default();
        links.add(kind, href.clone());
        links.add("self", href);
        links
    }

    pub(super) fn add(&mut self, relation: &'static str, href: String) {
        self.0.insert(relation, Link { href });
    }
}

/// A page of a list.
#[derive(Serialize)]
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
