//! What every bookstock service shares, and nothing of the business: listening, health, problems, telemetry,
//! shutdown, the clock, locks.
//!
//! Absent on purpose: any word of the domain, any route but the health routes, any knowledge of a store or a database.
#![forbid(unsafe_code)]

pub mod auth;
pub mod body;
pub mod clock;
pub mod edge;
pub mod health;
pub mod language;
pub mod limits;
pub mod listen;
pub mod lock;
pub mod metrics;
pub mod openapi;
pub mod origin;
pub mod problem;
pub mod program;
pub mod quotes;
pub mod request_id;
pub mod shutdown;
pub mod telemetry;
pub mod traces;

pub use auth::{Auth, AuthSettings};
pub use body::JsonBody;
pub use health::Health;
pub use language::{Language, Text};
pub use limits::{LimitSettings, Limits};
pub use lock::Lock;
pub use openapi::{Api, Operation, Routes};
pub use origin::Origin;
pub use problem::Problem;
pub use request_id::RequestId;
