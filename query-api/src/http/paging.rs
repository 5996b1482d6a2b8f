//! Pages of a list, in the words of Spring Data: `page` from 0, `size`, `sort=stock,desc`.

use super::hal::Links;
use super::parameters::Parameters;
use crate::problem;
use read_model::{Order, PageRequest};
use serde::Serialize;
use service_kit::{Origin, Problem, text};

/// The rows of a page if nobody says how many.
const DEFAULT_SIZE: u64 = 20;

/// The most rows that a page can have.
const MAX_SIZE: u64 = 1_000;

/// The fields, by their names on the wire, that a list can be sorted by.
pub(super) type Sortable<Column> = [(&'static str, Column)];

/// Reads which page is asked for.
pub(super) fn page_request<Column: Copy>(
    parameters: &mut Parameters,
    sortable: &Sortable<Column>,
) -> Result<PageRequest<Column>, Problem> {
    let page = parameters.number("page")?.unwrap_or(0);
    let size = parameters.number("size")?.unwrap_or(DEFAULT_SIZE);
    let size = u32::try_from(size).ok().filter(|_| (1..=MAX_SIZE).contains(&size)).ok_or_else(|| {
        let reason = text!(
            en: "1 to {MAX_SIZE} rows fit on a page, not {size}",
            ko: "한 쪽에는 1줄부터 {MAX_SIZE}줄까지 담을 수 있습니다(받은 값: {size})"
        );
        problem::invalid_parameter("size", &reason)
    })?;
    let mut sort = Vec::new();
    for value in parameters.all("sort") {
        sort.extend(sort_by(value, sortable)?);
    }
    Ok(PageRequest { page, size, sort })
}

/// `field`, `field,desc` or `field,other,desc`: the last word may be a direction, which is for all of them.
fn sort_by<Column: Copy>(value: &str, sortable: &Sortable<Column>) -> Result<Vec<(Column, Order)>, Problem> {
    let (fields, order) = match value.rsplit_once(',') {
        Some((fields, last)) if last.eq_ignore_ascii_case("asc") => (fields, Order::Ascending),
        Some((fields, last)) if last.eq_ignore_ascii_case("desc") => (fields, Order::Descending),
        _ => (value, Order::Ascending),
    };
    let column = |field: &str| {
        let found = sortable.iter().find(|(name, _)| *name == field);
        found.map(|(_, column)| (*column, order)).ok_or_else(|| {
            let names: Vec<_> = sortable.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            let reason = text!(
                en: "{field:?} is no field to sort by; {names} are, with ,asc or ,desc after them",
                ko: "{field:?} 필드로는 정렬할 수 없습니다. 정렬할 수 있는 필드: {names} (뒤에 ,asc 나 ,desc)"
            );
            problem::invalid_parameter("sort", &reason)
        })
    };
    fields.split(',').map(column).collect()
}

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
    pub(super) fn new<Column>(request: &PageRequest<Column>, total_elements: u64) -> Self {
        let size = request.size;
        Self { size, total_elements, total_pages: total_elements.div_ceil(size.into()), number: request.page }
    }

    /// Links to this page and to those around it, as far as there are any. All of them ask what this request asks.
    pub(super) fn links(&self, origin: &Origin, path: &str, parameters: &Parameters) -> Links {
        let last = self.total_pages.saturating_sub(1);
        let mut links = Links::default();
        links.add("self", origin.href(&format!("{path}{}", parameters.query())));
        let mut page = |relation, number| {
            links.add(relation, origin.href(&format!("{path}{}", parameters.query_of_page(number))));
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::FromRequestParts as _;
    use axum::http::Request;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Column {
        Name,
        Stock,
    }

    const SORTABLE: &Sortable<Column> = &[("name", Column::Name), ("stock", Column::Stock)];

    fn asked(query: &str) -> Result<PageRequest<Column>, Problem> {
        page_request(&mut Parameters::from(query), SORTABLE)
    }

    #[test]
    fn a_list_begins_with_its_first_twenty_rows() {
        assert_eq!(asked("").unwrap(), PageRequest { page: 0, size: 20, sort: Vec::new() });
    }

    #[test]
    fn a_page_has_one_to_a_thousand_rows() {
        for (query, valid) in [("size=1", true), ("size=1000", true), ("size=0", false), ("size=1001", false)]
        {
            assert_eq!(asked(query).is_ok(), valid, "{query}");
        }
        assert!(asked("size=4294967297").is_err());
    }

    #[test]
    fn sorting_is_by_known_fields_in_either_direction() {
        use Column::{Name, Stock};
        use Order::{Ascending, Descending};
        for (query, sort) in [
            ("sort=stock", vec![(Stock, Ascending)]),
            ("sort=stock,desc", vec![(Stock, Descending)]),
            ("sort=stock,ASC", vec![(Stock, Ascending)]),
            ("sort=name,stock,desc", vec![(Name, Descending), (Stock, Descending)]),
            ("sort=stock,desc&sort=name", vec![(Stock, Descending), (Name, Ascending)]),
        ] {
            assert_eq!(asked(query).unwrap().sort, sort, "{query}");
        }
        for query in [
            "sort=",
            "sort=,",
            "sort=desc",
            "sort=Stock",
            "sort=stock,down",
            "sort=stock;drop+table",
            "sort=stock,desc,",
        ] {
            assert_eq!(asked(query).unwrap_err().name(), "invalid-parameter", "{query}");
        }
    }

    async fn links(query: &str, total: u64) -> Vec<(String, String)> {
        let mut parts = Request::get("/").header("host", "h").body(()).unwrap().into_parts().0;
        let origin = Origin::from_request_parts(&mut parts, &()).await.unwrap();
        let mut parameters = Parameters::from(query);
        let request = page_request(&mut parameters, SORTABLE).unwrap();
        let links = PageNumbers::new(&request, total).links(&origin, "/books", &parameters);
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
