//! The fields of a command's body, one by one, so that every refusal can name its field.
//!
//! A number may come as a JSON number or as a string with the same text, as HTTPie sends it; either way it is its
//! text that is read, so that `1.0` stays exact. `null` is the same as absent.

use super::explain::{Explain, shortened};
use super::problem::invalid;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use service_kit::body::whole;
use service_kit::{JsonBody, Problem, Text, text};
use std::fmt;
use std::str::FromStr;

/// The longest text that is looked at as a number, in bytes.
pub(super) const MAX_NUMBER_LENGTH: usize = 32;

/// The fields of a JSON object as they were written.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

/// The same, of a body that may be left out.
#[derive(Debug, Default)]
pub(super) struct OptionalFields(pub(super) Fields);

impl Fields {
    /// The fields, if all are among `known` and none comes twice.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            let name = shortened(name);
            if !known.contains(&name.as_str()) {
                let fields = if known.len() == 1 { "the only field is" } else { "the fields are" };
                let known = known.join(", ");
                let detail = text!(
                    en: "There is no field {name:?} here; {fields} {known}.",
                    ko: "{name:?} 필드는 없습니다. 쓸 수 있는 필드: {known}."
                );
                return Err(Problem::invalid(detail).with("field", name));
            }
            if self.0.iter().take(index).any(|(earlier, _)| *earlier == name) {
                return Err(Problem::invalid(text!(
                    en: "The field {name:?} comes twice.",
                    ko: "{name:?} 필드가 두 번 나옵니다."
                ))
                .with("field", name));
            }
        }
        Ok(self)
    }

    /// Cells of a table, each a text.
    pub(super) fn of_cells(cells: impl Iterator<Item = (&'static str, String)>) -> Self {
        let json = |cell: String| serde_json::to_string(&cell).and_then(RawValue::from_string).ok();
        Self(cells.filter_map(|(name, cell)| Some((name.to_owned(), json(cell)?))).collect())
    }

    /// The number in the field `name`.
    pub(super) fn number<T: FromStr<Err: Explain>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(json) = self.get(name) else { return Ok(None) };
        let string;
        let text = if json.starts_with('"') {
            string = unescaped(name, json)?;
            string.as_str()
        } else {
            json
        };
        let looks_like_one =
            text.len() <= MAX_NUMBER_LENGTH && text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if !looks_like_one {
            return Err(invalid(name, &no_number(text)));
        }
        text.parse().map(Some).map_err(|error: T::Err| invalid(name, &error.explain(text)))
    }

    /// The text in the field `name`.
    pub(super) fn text<T: FromStr<Err: Explain>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(json) = self.get(name) else { return Ok(None) };
        let text = unescaped(name, json)?;
        text.parse().map(Some).map_err(|error: T::Err| invalid(name, &error.explain(&shortened(&text))))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, json) = self.0.iter().find(|(field, _)| field == name)?;
        Some(json.get()).filter(|json| *json != "null")
    }
}

fn no_number(text: &str) -> Text {
    let text = shortened(text);
    text!(en: "{text:?} is not a number", ko: "{text:?}는 수가 아닙니다")
}

fn unescaped(name: &str, json: &str) -> Result<String, Problem> {
    serde_json::from_str(json).map_err(|_| {
        let json = shortened(json);
        invalid(name, &text!(en: "a text in quotes is needed, not {json}", ko: "따옴표 안의 문자열이어야 합니다(받은 값: {json})"))
    })
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        JsonBody::from_request(request, state).await.map(|JsonBody(fields)| fields)
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // Whether it is left out can show only when it ends: its length need not be told before.
        let (parts, body) = whole(request).await?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        Fields::from_request(Request::from_parts(parts, Body::from(body)), state).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Key;
    use domain::book::{BookName, Edition, QtyDelta, Quantity};

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_number_is_its_text_however_it_is_sent() {
        let sent = fields(r#"{"a":1.0,"b":"1.00","c":"1.\u0030"}"#);
        for name in ["a", "b", "c"] {
            assert_eq!(sent.number::<Edition>(name).unwrap(), Some(Edition::FIRST), "{name}");
        }
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let sent = fields(r#"{"qty":null}"#);
        assert_eq!(sent.number::<Quantity>("qty").unwrap(), None);
        assert_eq!(sent.number::<Quantity>("other").unwrap(), None);
        assert_eq!(sent.text::<BookName>("qty").unwrap(), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for json in [
            "\"\"",
            "\" 1\"",
            "\"+1\"",
            "true",
            "[1]",
            "{}",
            "1e1",
            "1.5",
            "-1",
            "0",
            "1000001",
            "\"\\ud800\"",
        ] {
            let sent = fields(&format!(r#"{{"qty":{json}}}"#));
            assert!(sent.number::<Quantity>("qty").is_err(), "{json}");
        }
        let long = fields(&format!(r#"{{"qty":1.{}}}"#, "0".repeat(1_000)));
        assert!(long.number::<Edition>("qty").is_err());
    }

    #[test]
    fn a_name_is_a_string() {
        assert_eq!(fields(r#"{"name":"해리"}"#).text::<BookName>("name").unwrap().unwrap().as_str(), "해리");
        for json in ["1", "[]", "\"\"", "\"a\\nb\"", "\"\\udc00\""] {
            assert!(fields(&format!(r#"{{"name":{json}}}"#)).text::<BookName>("name").is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_field_is_told_plainly() {
        let told = |problem: Problem| problem.detail().en.to_string();
        let name = fields(r#"{"name":5}"#).text::<BookName>("name").unwrap_err();
        assert_eq!(told(name), "name: a text in quotes is needed, not 5.");
        let delta = fields(r#"{"qtyDelta":0}"#).number::<QtyDelta>("qtyDelta").unwrap_err();
        assert_eq!(
            told(delta),
            "qtyDelta: a qtyDelta is a whole number from -1000000000 to 1000000000 other than 0; given was 0."
        );
        let key = fields(r#"{"key":"a b"}"#).text::<Key>("key").unwrap_err();
        let Text { en, ko } = key.detail();
        assert!(en.contains("visible ASCII") && ko.contains("보이는 ASCII"), "{en} {ko}");
        let unknown = |known: &[&str]| told(fields(r#"{"qty":1}"#).only(known).unwrap_err());
        assert_eq!(unknown(&["version"]), "There is no field \"qty\" here; the only field is version.");
        assert_eq!(unknown(&["a", "b"]), "There is no field \"qty\" here; the fields are a, b.");
    }

    #[test]
    fn a_field_is_known_and_comes_once() {
        assert!(fields(r#"{"a":1,"b":2}"#).only(&["a", "b"]).is_ok());
        assert!(fields(r#"{"a":1,"c":2}"#).only(&["a", "b"]).is_err());
        assert!(fields(r#"{"a":1,"a":1}"#).only(&["a", "b"]).is_err());
    }
}
