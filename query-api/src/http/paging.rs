//! The pages of a list, and the parts of a walk through it, with the links between them.

use super::cursor;
use super::hal::Links;
use super::parameters::Parameters;
use read_model::Mark;
use serde::Serialize;
use service_kit::Origin;

/// Which page of how many an answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageNumbers {
    size: u32,
    total_elements: u64,
    total_pages: u64,
    number: u64,
}

impl PageNumbers {
    pub(super) fn new(number: u64, size: u32, total_elements: u64) -> Self {
        Self { size, total_elements, total_pages: total_elements.div_ceil(size.into()), number }
    }

    /// Links to this page and to those around it, as far as there are any. All of them ask what this request asks.
    pub(super) fn links(&self, origin: &Origin, path: &str, parameters: &Parameters) -> Links {
        let last = self.total_pages.saturating_sub(1);
        let mut links = Links::default();
        links.add("self", origin.href(format_args!("{path}{}", parameters.query())));
        let mut page = |relation, number: u64| {
            links.add(
                relation,
                origin.href(format_args!("{path}{}", parameters.query_with("page", &number.to_string()))),
            );
        };
        if self.total_pages > 1 || self.number > 0 {
            page("first", 0);
            page("last", last);
        }
        if self.number > 0 {
            page("prev", last.min(self.number - 1));
        }
        if self.number < last {
            page("next", self.number + 1);
        }
        links
    }
}

/// How long a part of a walk is. The whole is not counted: that would cost more than the part.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Part {
    pub(super) size: u32,
}

/// Links to this part of a walk, to its beginning, and to the next part if there is one.
pub(super) fn links_of_walk(
    next: Option<&Mark>,
    origin: &Origin,
    path: &str,
    parameters: &Parameters,
) -> Links {
    let mut links = Links::default();
    links.add("self", origin.href(format_args!("{path}{}", parameters.query())));
    let mut part = |relation, token: &str| {
        links.add(relation, origin.href(format_args!("{path}{}", parameters.query_with("cursor", token))));
    };
    part("first", "");
    if let Some(mark) = next {
        part("next", &cursor::write(mark));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::super::asked;
    use super::*;
    use axum::extract::FromRequestParts as _;
    use axum::http::Request;

    async fn links(query: &str, total: u64) -> Vec<(String, String)> {
        let mut parts = Request::get("/").header("host", "h").body(()).unwrap().into_parts().0;
        let origin = Origin::from_request_parts(&mut parts, &()).await.unwrap();
        let mut parameters = Parameters::from(query);
        let page = parameters.number("page").unwrap().unwrap_or(0);
        let size = asked::size_of(&mut parameters).unwrap().unwrap_or(asked::DEFAULT_SIZE);
        let links = PageNumbers::new(page, size, total).links(&origin, "/books", &parameters);
        let links = serde_json::to_value(links).unwrap();
        let href = |link: &serde_json::Value| link["href"].as_str().unwrap().replace("http://h/books", "");
        links.as_object().unwrap().iter().map(|(relation, link)| (relation.clone(), href(link))).collect()
    }

    fn expected(links: &[(&str, &str)]) -> Vec<(String, String)> {
        links.iter().map(|(relation, query)| ((*relation).to_owned(), (*query).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_single_page_links_to_itself_alone() {
        assert_eq!(links("", 20).await, expected(&[("self", "")]));
        assert_eq!(links("", 0).await, expected(&[("self", "")]));
    }

    #[tokio::test]
    async fn a_page_links_to_those_around_it() {
        assert_eq!(
            links("page=1&size=10&sort=stock,desc", 35).await,
            expected(&[
                ("first", "?page=0&size=10&sort=stock,desc"),
                ("last", "?page=3&size=10&sort=stock,desc"),
                ("next", "?page=2&size=10&sort=stock,desc"),
                ("prev", "?page=0&size=10&sort=stock,desc"),
                ("self", "?page=1&size=10&sort=stock,desc"),
            ])
        );
        let of_the_first = [("first", "?page=0"), ("last", "?page=1"), ("next", "?page=1"), ("self", "")];
        assert_eq!(links("", 21).await, expected(&of_the_first));
    }

    #[tokio::test]
    async fn a_page_beyond_the_last_leads_back_to_it() {
        assert_eq!(
            links("page=9", 21).await,
            expected(&[("first", "?page=0"), ("last", "?page=1"), ("prev", "?page=1"), ("self", "?page=9")])
        );
        let of_nothing =
            [("first", "?page=0"), ("last", "?page=0"), ("prev", "?page=0"), ("self", "?page=9")];
        assert_eq!(links("page=9", 0).await, expected(&of_nothing));
    }
}
