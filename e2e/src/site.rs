//! One HTTP address of the system, as its clients see it.

use crate::eventually;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many keys were given to commands.
static KEYS: AtomicU64 = AtomicU64::new(0);

/// An address such as `http://127.0.0.1:8088`, and a client of it.
#[derive(Clone, Debug)]
pub struct Site {
    base: String,
    client: Client,
}

impl Site {
    /// The site at `base`, which has no slash at its end.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
        Self { base: base.into(), client }
    }

    /// The same site, for somebody who shows this token with each request.
    ///
    /// # Panics
    /// When it is no text for a header.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let client = Client::builder().no_proxy().timeout(TIMEOUT).default_headers(headers).build().unwrap();
        Self { base: self.base.clone(), client }
    }

    /// The address of `path`, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_keyed(path, body, None).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// `POST` of JSON with an `Idempotency-Key`.
    ///
    /// # Errors
    /// What kept the answer from coming.
    pub async fn post_keyed(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer, String> {
        let key = key.map(|key| ("idempotency-key", key));
        self.post_with(path, body, key.as_slice()).await
    }

    /// `POST` of JSON with these headers besides.
    ///
    /// # Errors
    /// What kept the answer from coming.
    pub async fn post_with(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let mut request = self.client.post(self.url(path)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.body(body.to_string())).await
    }

    /// Any request.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.client.request(method, self.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// `GET`, where no answer is an answer too.
    ///
    /// # Errors
    /// What kept the answer from coming.
    pub async fn try_get(&self, path: &str) -> Result<Answer, String> {
        answer(self.client.get(self.url(path))).await
    }

    /// Warehouses so many copies of a book.
    pub async fn warehouse(&self, book: u64, qty: u64) -> Answer {
        self.post(&format!("/books/{book}/warehousings"), &json!({"qty": qty})).await
    }

    /// Books a command: sent again under the same key until it is acknowledged, as people do whose store is busy.
    ///
    /// # Panics
    /// When it is refused for good.
    pub async fn book(&self, path: &str, body: &Value) -> Value {
        let key = format!("test-{}", KEYS.fetch_add(1, Ordering::Relaxed));
        eventually(&format!("{path} is booked"), async || {
            let answer = self.post_keyed(path, body, Some(&key)).await?;
            if answer.status == 503 { Err(answer.text) } else { Ok(answer.json(201)) }
        })
        .await
    }

    /// How many books the admin list has.
    ///
    /// # Errors
    /// What is there instead of a list.
    pub async fn book_count(&self) -> Result<u64, String> {
        let list = self.try_get("/admins?size=1").await?.wanted(200)?;
        list["page"]["totalElements"].as_u64().ok_or_else(|| list.to_string())
    }

    /// The stock of every book in the admin list, over all its pages of 1,000.
    ///
    /// # Errors
    /// What is there instead of a list.
    pub async fn stocks(&self) -> Result<BTreeMap<u64, u64>, String> {
        let mut stocks = BTreeMap::new();
        for page in 0.. {
            let list = self.try_get(&format!("/admins?size=1000&page={page}")).await?.wanted(200)?;
            let rows = list["_embedded"]["admins"].as_array().ok_or_else(|| list.to_string())?;
            for row in rows {
                let (book, stock) = (row["bookId"].as_u64().unwrap(), row["bookStock"].as_u64().unwrap());
                if stocks.insert(book, stock).is_some() {
                    return Err(format!("book {book} is on two pages"));
                }
            }
            if list["page"]["totalPages"].as_u64().is_none_or(|pages| page + 1 >= pages) {
                break;
            }
        }
        Ok(stocks)
    }

    /// Whether the admin list has exactly these stocks.
    ///
    /// # Errors
    /// How the list differs.
    pub async fn shows(&self, expected: &BTreeMap<u64, u64>) -> Result<(), String> {
        let stocks = self.stocks().await?;
        if stocks == *expected {
            return Ok(());
        }
        let sum = |stocks: &BTreeMap<u64, u64>| stocks.values().sum::<u64>();
        let wrong = expected.iter().find(|(book, stock)| stocks.get(book) != Some(stock));
        Err(format!(
            "{} books with {} copies instead of {} with {}; the first that differs, with its right stock: {wrong:?}",
            stocks.len(),
            sum(&stocks),
            expected.len(),
            sum(expected),
        ))
    }
}

/// An HTTP answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON, if the status is `status`.
    ///
    /// # Errors
    /// The whole answer, if it is another.
    pub fn wanted(&self, status: u16) -> Result<Value, String> {
        if self.status != status {
            return Err(format!("{} {}", self.status, self.text));
        }
        serde_json::from_str(&self.text).map_err(|error| format!("{error}: {}", self.text))
    }

    /// The body as JSON; the status has to be `status`.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        self.wanted(status).unwrap_or_else(|instead| panic!("not {status}: {instead}"))
    }

    /// The problem document; the answer has to be one, with this status and of this type.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn problem(&self, status: u16, name: &str) -> Value {
        let document = self.json(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{document}");
        assert_eq!(document["type"], format!("urn:bookstock:problem:{name}"), "{document}");
        assert_eq!(document["status"], status, "{document}");
        for text in ["title", "detail"] {
            assert!(document[text].as_str().is_some_and(|text| !text.is_empty()), "no {text}: {document}");
        }
        document
    }

    /// A header, which has to be there.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}"));
        value.to_str().unwrap()
    }
}

async fn answer(request: RequestBuilder) -> Result<Answer, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answer { status, headers, text })
}

/// Whether `actual` has every field of `expected`, with the same value; it may have more fields, not more elements.
///
/// # Panics
/// When it has not.
#[track_caller]
pub fn assert_shows(actual: &Value, expected: &Value) {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (name, value) in expected {
                let Some(found) = actual.get(name) else { panic!("no field {name} in {actual:?}") };
                assert_shows(found, value);
            }
        }
        (Value::Array(actual), Value::Array(expected)) => {
            assert_eq!(actual.len(), expected.len(), "{actual:?}");
            for (actual, expected) in actual.iter().zip(expected) {
                assert_shows(actual, expected);
            }
        }
        _ => assert_eq!(actual, expected),
    }
}
