//! What one route takes and answers.

use crate::auth::Scope;
use crate::body::{BODY_TOO_LARGE, BODY_TOO_SLOW, UNSUPPORTED_ENCODING, UNSUPPORTED_MEDIA_TYPE};
use crate::edge::DEADLINE_EXCEEDED;
use crate::language::Language;
use crate::problem::{self, INTERNAL, INVALID, Kind, MALFORMED, TYPE_PREFIX};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An operation: what it is for, what it takes, and everything that it may answer.
#[derive(Debug)]
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    problems: Vec<&'static Kind>,
    also: Vec<(u16, &'static str, Value)>,
    pub(super) sets_its_pace: bool,
}

impl Operation {
    /// The operation `id` (a word for programs), in a few words and in more of them.
    #[must_use]
    pub fn new(id: &'static str, summary: &'static str, description: &'static str) -> Self {
        Self {
            id,
            summary,
            description,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            problems: Vec::new(),
            also: Vec::new(),
            sets_its_pace: false,
        }
    }

    /// It takes these parameters and request headers too; [`parameter`] and [`header`] make them.
    #[must_use]
    pub fn takes(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// It takes a JSON body of this schema.
    #[must_use]
    pub fn body(mut self, required: bool, schema: &Value, example: &Value) -> Self {
        self = self.body_as("application/json", required, schema, example);
        self.problems.extend([
            &BODY_TOO_LARGE,
            &BODY_TOO_SLOW,
            &UNSUPPORTED_MEDIA_TYPE,
            &UNSUPPORTED_ENCODING,
            &INVALID,
        ]);
        self
    }

    /// It takes a body of this media type too.
    #[must_use]
    pub fn body_as(mut self, media_type: &str, required: bool, schema: &Value, example: &Value) -> Self {
        let body = self.body.get_or_insert_with(|| json!({"required": required, "content": {}}));
        body["content"][media_type] = json!({"schema": schema, "example": example});
        self
    }

    /// It answers with `status` and a body of this schema. `headers` are names and what they tell.
    #[must_use]
    pub fn answers(
        mut self,
        status: u16,
        description: &str,
        media_type: &str,
        schema: &Value,
        example: &Value,
        headers: &[(&str, &str)],
    ) -> Self {
        let headers: Map<_, _> =
            headers.iter().map(|(name, tells)| ((*name).to_owned(), told(tells))).collect();
        let content = json!({media_type: {"schema": schema, "example": example}});
        let answer = json!({"description": description, "headers": headers, "content": content});
        self.answers.insert(status, answer);
        self
    }

    /// It answers with `status` and no body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16, description: &str) -> Self {
        self.answers.insert(status, json!({"description": description}));
        self
    }

    /// It answers with `status` and this form too, besides what it answers with or the problems of that status.
    #[must_use]
    pub fn answers_also(mut self, status: u16, media_type: &'static str, schema: &Value) -> Self {
        self.also.push((status, media_type, schema.clone()));
        self
    }

    /// It bounds by itself how long it takes: the edge's deadline, which is the same for all, is not for it.
    #[must_use]
    pub fn at_its_own_pace(mut self) -> Self {
        self.sets_its_pace = true;
        self
    }

    /// It may answer with these problems, besides those of every operation.
    #[must_use]
    pub fn fails(mut self, problems: impl IntoIterator<Item = &'static Kind>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// As the document has it. `scope` is what a token needs for it.
    pub(super) fn document(&self, path: &str, scope: Option<Scope>) -> Value {
        let mut responses = self.answers.clone();
        let mut problems: BTreeMap<u16, Vec<&Kind>> = BTreeMap::new();
        let late = (!self.sets_its_pace).then_some(&DEADLINE_EXCEEDED);
        let everywhere = [&MALFORMED, &INTERNAL].into_iter().chain(late);
        let guarded = scope.is_some().then_some(crate::auth::PROBLEMS).into_iter().flatten();
        let limits = crate::limits::PROBLEMS;
        for kind in self.problems.iter().copied().chain(everywhere).chain(guarded).chain(limits) {
            let kinds = problems.entry(kind.status().as_u16()).or_default();
            if !kinds.iter().any(|known| known.name() == kind.name()) {
                kinds.push(kind);
            }
        }
        responses.extend(problems.iter().map(|(status, kinds)| (*status, of_problems(kinds))));
        for (status, media_type, schema) in &self.also {
            if let Some(response) = responses.get_mut(status) {
                response["content"][media_type] = json!({"schema": schema});
            }
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": self.description,
            "responses": responses,
        });
        let mut parameters = self.parameters.clone();
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        // A path names books by their ids.
        parameters.extend(names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_991_u64}, "example": 1})));
        parameters.push(header(
            "Accept-Language",
            "The language of a problem's title and detail: ko or en.",
            &json!({"type": "string", "example": "ko"}),
        ));
        operation["parameters"] = Value::Array(parameters);
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        operation["security"] = match scope {
            Some(scope) => json!([{"bearer": [scope.as_str()]}]),
            None => json!([]),
        };
        operation
    }
}

/// A parameter of the query string that may be left out.
#[must_use]
pub fn parameter(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}

/// A request header that may be left out.
#[must_use]
pub fn header(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
}

fn told(tells: &str) -> Value {
    json!({"description": tells, "schema": {"type": "string"}})
}

/// What problems of many kinds carry: all of them the first two, and the last those that pass by themselves.
const OF_PROBLEMS: [(&str, &str); 3] = [
    ("X-Request-Id", "The id of the request."),
    ("Content-Language", "The language of title and detail."),
    ("Retry-After", "So many seconds later it may be sent again."),
];

/// The headers that problems refer to.
pub(super) fn headers_of_problems() -> Map<String, Value> {
    OF_PROBLEMS.iter().map(|(name, tells)| ((*name).to_owned(), told(tells))).collect()
}

/// The answer of one status, which may have one of several types.
pub(super) fn of_problems(kinds: &[&Kind]) -> Value {
    let types: Vec<_> = kinds.iter().map(|kind| format!("{TYPE_PREFIX}{}", kind.name())).collect();
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title().get(Language::English)).collect();
    let examples: Map<_, _> = kinds
        .iter()
        .map(|kind| {
            let document = json!({
                "type": format!("{TYPE_PREFIX}{}", kind.name()),
                "title": kind.title().get(Language::English),
                "status": kind.status().as_u16(),
                "detail": "What happened, why, and what to do next.",
            });
            (
                kind.name().to_owned(),
                json!({"summary": kind.title().get(Language::Korean), "value": document}),
            )
        })
        .collect();
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"type": "object", "properties": {"type": {"enum": types}}},
    ]});
    let passes = kinds.iter().any(|kind| matches!(kind.status().as_u16(), 429 | 503));
    let shared = OF_PROBLEMS.iter().take(if passes { 3 } else { 2 });
    let shared =
        shared.map(|(name, _)| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})));
    let own = kinds.iter().flat_map(|kind| kind.headers());
    let own = own.map(|(name, tells)| ((*name).to_owned(), told(tells)));
    let headers: Map<_, _> = shared.chain(own).collect();
    json!({
        "description": titles.join("; "),
        "headers": headers,
        "content": {problem::MEDIA_TYPE: {"schema": schema, "examples": examples}},
    })
}
