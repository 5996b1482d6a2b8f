//! Which books a list is asked for, in which order, and which part of them, in the words of Spring Data and a few more.

use super::cursor;
use super::parameters::Parameters;
use crate::problem;
use read_model::past::Moment;
use read_model::{Column, Filter, ListRequest, Mark, Order, Place, Since, Words};
use service_kit::{Problem, text};

/// The rows of a page if nobody says how many.
pub(super) const DEFAULT_SIZE: u32 = 20;

/// The most rows that a page can have.
pub(super) const MAX_SIZE: u64 = 1_000;

/// The longest text that is looked for, in bytes: no name is longer.
const MAX_WORDS: usize = 2_000;

/// The fields, by their names on the wire, that a list can be sorted by.
pub(super) type Sortable = [(&'static str, Column)];

/// What is asked of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) request: ListRequest,
    /// Whether no page was asked for, nor where to go on.
    pub(super) of_all: bool,
}

impl Asked {
    pub(super) fn of(parameters: &mut Parameters, sortable: &Sortable) -> Result<Self, Problem> {
        let mut sort = Vec::new();
        for value in parameters.all("sort") {
            sort.extend(sort_by(value, sortable)?);
        }
        let page = parameters.number("page")?;
        let size = size_of(parameters)?;
        let token = parameters.text("cursor")?.map(str::to_owned);
        let of_all = page.is_none() && size.is_none() && token.is_none();
        let place = match token {
            Some(_) if page.is_some() => {
                let reason = text!(
                    en: "a list is asked for by cursor or by page",
                    ko: "목록은 cursor 나 page 하나로만 조회합니다"
                );
                return Err(problem::invalid_parameter("cursor", &reason));
            }
            None => Place::Page(page.unwrap_or(0)),
            Some(token) => walk(&token, &sort)?,
        };
        let filter = filter(parameters)?;
        Ok(Self { request: ListRequest { filter, sort, place, size: size.unwrap_or(DEFAULT_SIZE) }, of_all })
    }
}

/// Which part is asked of a list that is only walked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    /// Where to go on.
    pub(super) after: Option<Mark>,
    pub(super) size: u32,
    /// Whether no part was asked for.
    pub(super) of_all: bool,
}

/// The part of a list that is walked through in the order of `column`.
pub(super) fn part_of(parameters: &mut Parameters, column: Column) -> Result<Portion, Problem> {
    let size = size_of(parameters)?;
    let token = parameters.text("cursor")?;
    let of_all = size.is_none() && token.is_none();
    let after =
        token.filter(|token| !token.is_empty()).map(|token| cursor::read(token, column)).transpose()?;
    Ok(Portion { after, size: size.unwrap_or(DEFAULT_SIZE), of_all })
}

/// How many rows are asked for, if anybody says.
pub(super) fn size_of(parameters: &mut Parameters) -> Result<Option<u32>, Problem> {
    let size = parameters.number_in("size", 1..=MAX_SIZE)?;
    Ok(size.and_then(|size| u32::try_from(size).ok()))
}

/// Where a walk is that goes on from `token`; an empty one begins it.
fn walk(token: &str, sort: &[(Column, Order)]) -> Result<Place, Problem> {
    let column = match sort {
        [] => Column::BookId,
        [(column, _)] => *column,
        _ => {
            let reason = text!(
                en: "a list that is sorted by more than one field has pages, but no cursor",
                ko: "여러 필드로 정렬한 목록은 page 로만 조회합니다"
            );
            return Err(problem::invalid_parameter("cursor", &reason));
        }
    };
    if token.is_empty() { Ok(Place::Beginning) } else { Ok(Place::After(cursor::read(token, column)?)) }
}

fn filter(parameters: &mut Parameters) -> Result<Filter, Problem> {
    let words = parameters.text("q")?;
    // PostgreSQL takes no NUL in a text, and names have no control characters at all.
    if words.is_some_and(|words| words.len() > MAX_WORDS || words.contains(char::is_control)) {
        let reason = text!(
            en: "no name is longer than 500 characters, or has control characters in it",
            ko: "이름은 500자를 넘지 않고 제어 문자가 들어 있지 않습니다"
        );
        return Err(problem::invalid_parameter("q", &reason));
    }
    let words = words.and_then(Words::typed);
    // No stock is as high as what does not fit.
    let stock = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let min_stock = parameters.number("minStock")?.map(stock);
    let max_stock = parameters.number("maxStock")?.map(stock);
    let version = parameters.text("version")?.map(str::parse).transpose();
    let version = version.map_err(|_| {
        let reason = text!(
            en: "an edition is a decimal from 0.01 to 1000000 with at most two places, such as 2.0",
            ko: "판은 0.01부터 1000000까지, 소수점 아래 두 자리까지의 수입니다. 예: 2.0"
        );
        problem::invalid_parameter("version", &reason)
    })?;
    let changed_since = parameters.text("changedSince")?.map(since).transpose()?;
    Ok(Filter { words, min_stock, max_stock, version, changed_since })
}

fn since(text: &str) -> Result<Since, Problem> {
    Ok(match moment("changedSince", text)? {
        Moment::Position(position) => Since::Position(position),
        Moment::Time(time) => Since::Time(time),
    })
}

/// The position or the time that the parameter `name` is set to.
pub(super) fn moment(name: &str, text: &str) -> Result<Moment, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let moment =
        if digits { text.parse().ok().map(Moment::Position) } else { text.parse().ok().map(Moment::Time) };
    moment.ok_or_else(|| {
        let reason = text!(
            en: "{text:?} is neither a position, such as 42, nor an RFC 3339 time, such as 2026-11-24T08:05:00Z",
            ko: "{text:?} 은(는) 42 같은 위치도, 2026-11-24T08:05:00Z 같은 RFC 3339 시각도 아닙니다"
        );
        problem::invalid_parameter(name, &reason)
    })
}

/// `field`, `field,desc` or `field,other,desc`: the last word may be a direction, which is for all of them.
fn sort_by(value: &str, sortable: &Sortable) -> Result<Vec<(Column, Order)>, Problem> {
    let (fields, order) = match value.rsplit_once(',') {
        Some((fields, last)) if last.eq_ignore_ascii_case("asc") => (fields, Order::Ascending),
        Some((fields, last)) if last.eq_ignore_ascii_case("desc") => (fields, Order::Descending),
        _ => (value, Order::Ascending),
    };
    let of_name = |field: &str| sortable.iter().find(|(name, _)| *name == field);
    let column = |(place, field): (usize, &str)| {
        of_name(field).map(|(_, column)| (*column, order)).ok_or_else(|| {
            // What is last, behind a field, may be meant as either.
            let is_last = fields == value && fields.split(',').nth(place + 1).is_none();
            if is_last && place > 0 && !field.is_empty() {
                let reason = text!(
                    en: "{field:?} is no direction, and no field to sort by; a direction is asc or desc",
                    ko: "{field:?}은(는) 정렬 방향도 정렬할 수 있는 필드도 아닙니다. 방향은 asc 나 desc 입니다"
                );
                return problem::invalid_parameter("sort", &reason);
            }
            let names: Vec<_> = sortable.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            let reason = text!(
                en: "{field:?} is no field to sort by; {names} are, with ,asc or ,desc after them",
                ko: "{field:?} 필드로는 정렬할 수 없습니다. 정렬할 수 있는 필드: {names} (뒤에 ,asc 나 ,desc)"
            );
            problem::invalid_parameter("sort", &reason)
        })
    };
    fields.split(',').enumerate().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORTABLE: &Sortable = &[("name", Column::Name), ("stock", Column::Stock)];

    fn asked(query: &str) -> Result<ListRequest, Problem> {
        Asked::of(&mut Parameters::from(query), SORTABLE).map(|asked| asked.request)
    }

    #[test]
    fn a_list_begins_with_its_first_twenty_rows() {
        let first = ListRequest { filter: Filter::default(), sort: vec![], place: Place::Page(0), size: 20 };
        assert_eq!(asked("").unwrap(), first);
        assert_eq!(asked("cursor=").unwrap(), ListRequest { place: Place::Beginning, ..first });
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

    #[test]
    fn a_last_word_that_is_no_direction_is_told_what_a_direction_is() {
        let detail = |query| asked(query).unwrap_err().detail().en.to_string();
        assert!(detail("sort=stock,down").contains("a direction is asc or desc"));
        assert!(detail("sort=shelf,desc").contains("\"shelf\" is no field to sort by; name, stock are"));
        assert!(detail("sort=name,shelf,desc").contains("\"shelf\" is no field to sort by"));
        assert!(detail("sort=down").contains("\"down\" is no field to sort by"));
    }

    #[test]
    fn books_are_asked_for_by_name_stock_edition_and_change() {
        let filter =
            asked("q=%ED%95%B4%EB%A6%AC&minStock=1&maxStock=99999999999&version=1.50").unwrap().filter;
        assert_eq!(filter.words, Words::typed("해리"));
        assert_eq!((filter.min_stock, filter.max_stock), (Some(1), Some(u32::MAX)));
        assert_eq!(filter.version, Some("1.5".parse().unwrap()));
        assert_eq!(asked("q=+").unwrap().filter, Filter::default());
        let since = |query| asked(query).map(|request| request.filter.changed_since.unwrap());
        assert_eq!(since("changedSince=42").unwrap(), Since::Position(42));
        let time = since("changedSince=2026-11-24T17:05:00%2B09:00").unwrap();
        assert_eq!(time, Since::Time("2026-11-24T08:05:00Z".parse().unwrap()));
        for query in [
            "q=%00",
            "q=a%0Ab",
            "version=1.234",
            "version=",
            "changedSince=",
            "changedSince=yesterday",
            "minStock=-1",
        ] {
            assert_eq!(asked(query).unwrap_err().name(), "invalid-parameter", "{query}");
        }
    }

    #[test]
    fn a_walk_is_not_paged_and_sorted_by_one_field_at_most() {
        for query in ["cursor=&page=0", "cursor=&sort=name,stock", "cursor=nonsense"] {
            assert_eq!(asked(query).unwrap_err().name(), "invalid-parameter", "{query}");
        }
    }
}
