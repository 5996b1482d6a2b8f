//! The OpenAPI document of a service (ADR 0014): a route is made by its description, so there is none without.
//!
//! [`Api`] takes each route together with its [`Operation`] and gives [`Routes`]: a router and the description of all that
//! is in it. The edge adds what is the same everywhere, and shows the document at `/openapi.json` and `/docs`. A service that
//! is the way in to these for a gateway with further routes shows the [`Whole`] instead.

mod document;
mod operation;
mod whole;

use crate::auth::needed;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};
pub(crate) use document::document;
pub use operation::{Operation, header, parameter};
use serde_json::{Map, Value};
pub use whole::Whole;

/// The page that shows the document to people.
pub(crate) const PAGE: &str = include_str!("openapi/page.html");

/// Routes in the making: each comes with its description.
#[derive(Debug)]
pub struct Api<S> {
    router: Router<S>,
    description: Description,
    at_own_pace: Vec<&'static str>,
}

/// Routes, and what they are.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    pub(crate) router: Router,
    pub(crate) description: Description,
    pub(crate) whole: Option<Whole>,
    /// The paths that bound by themselves how long they take.
    pub(crate) at_own_pace: Vec<&'static str>,
}

/// What routes are, as an OpenAPI document has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    /// Path items by path.
    pub(crate) paths: Map<String, Value>,
    /// Schemas by name.
    pub(crate) schemas: Map<String, Value>,
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self { router: Router::new(), description: Description::default(), at_own_pace: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Adds a route for `GET`.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route(&Method::GET, path, get(handler), operation)
    }

    /// Adds a route for `POST`.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route(&Method::POST, path, post(handler), operation)
    }

    /// Names a schema, so that operations can refer to it as `#/components/schemas/<name>`.
    #[must_use]
    pub fn schema(mut self, name: &str, schema: Value) -> Self {
        self.description.schemas.insert(name.to_owned(), schema);
        self
    }

    /// The routes, which work with `state`.
    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        let Self { router, description, at_own_pace } = self;
        Routes { router: router.with_state(state), description, whole: None, at_own_pace }
    }

    fn route(
        mut self,
        method: &Method,
        path: &'static str,
        route: MethodRouter<S>,
        operation: Operation,
    ) -> Self {
        self.description.add(method, path, &operation);
        self.at_own_pace.extend(operation.sets_its_pace.then_some(path));
        Self { router: self.router.route(path, route), ..self }
    }
}

/// Routes that nobody describes: of a test, or of a service without an interface of its own.
impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self { router, ..Self::default() }
    }
}

impl Routes {
    /// These routes and `others`.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        for (path, item) in others.description.paths {
            match (self.description.paths.get_mut(&path), item) {
                (Some(Value::Object(known)), Value::Object(item)) => known.extend(item),
                (_, item) => {
                    self.description.paths.insert(path, item);
                }
            }
        }
        self.description.schemas.extend(others.description.schemas);
        self.at_own_pace.extend(others.at_own_pace);
        Self { router: self.router.merge(others.router), ..self }
    }

    /// These routes as a part of `whole`, whose document is shown in place of their own.
    #[must_use]
    pub fn part_of(mut self, whole: Whole) -> Self {
        self.whole = Some(whole);
        self
    }
}

impl Description {
    pub(crate) fn add(&mut self, method: &Method, path: &str, operation: &Operation) {
        let item = self.paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.as_str().to_lowercase(), operation.document(path, needed(method, path)));
        }
    }
}
