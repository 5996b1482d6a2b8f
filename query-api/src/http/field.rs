//! What rows and questions are made of: each field and each parameter is told once, for the profiles, for the OpenAPI
//! document, and for the first line of CSV.

use serde_json::{Value, json};
use service_kit::openapi;

/// A field of a row, or a parameter of a question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    kind: Kind,
}

/// What values there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Which book.
    BookId,
    /// Any text, or null.
    Text,
    /// How many copies there are.
    Stock,
    /// How many copies a movement speaks of, or null.
    Qty,
    /// An edition in a row.
    Version,
    /// An edition that is asked for: exact decimals are text.
    VersionAsked,
    /// An event's place in its stream.
    Revision,
    /// An event's place in the store, in a row.
    Position,
    /// When something happened.
    Time,
    /// What kind of movement.
    Movement,
    /// A part of a name.
    Words,
    /// A number without a sign.
    Number,
    /// How many rows.
    Size,
    /// How many milliseconds.
    Wait,
    /// A position or a time.
    Moment,
    /// Fields to sort by.
    Sort,
    /// Where a walk goes on.
    Cursor,
    /// Which way a walk goes.
    Order,
}

impl Field {
    pub(super) const fn new(name: &'static str, meaning: &'static str, kind: Kind) -> Self {
        Self { name, meaning, kind }
    }

    /// The field as a property of a row.
    pub(super) fn property(&self) -> Value {
        let mut schema = self.kind.schema();
        schema["description"] = self.meaning.into();
        schema
    }

    /// The field as a parameter of the query string.
    pub(super) fn parameter(&self) -> Value {
        openapi::parameter(self.name, self.meaning, &self.kind.schema())
    }
}

impl Kind {
    fn schema(self) -> Value {
        let number = json!({"type": "integer", "minimum": 0, "maximum": u64::MAX});
        match self {
            Self::BookId => {
                json!({"type": "integer", "minimum": 1, "maximum": 9_007_199_254_740_991_u64, "example": 1})
            }
            Self::Text => json!({"type": ["string", "null"]}),
            Self::Stock => json!({"type": "integer", "minimum": 0, "maximum": 1_000_000_000, "example": 130}),
            Self::Qty => json!({"type": ["integer", "null"], "example": 7}),
            Self::Version => json!({"type": "number", "minimum": 0.01, "maximum": 1_000_000, "example": 1.0}),
            Self::VersionAsked => {
                json!({"type": "string", "pattern": "^[0-9]{1,7}(\\.[0-9]{1,2})?$", "example": "2.0"})
            }
            Self::Revision => json!({"type": "integer", "minimum": 0, "example": 1}),
            Self::Position => json!({"type": "string", "pattern": "^[0-9]+$", "example": "2"}),
            Self::Time => {
                json!({"type": "string", "format": "date-time", "example": "2026-11-24T08:05:00.000000Z"})
            }
            Self::Movement => {
                json!({"type": "string", "enum": ["Warehoused", "Renewed", "Corrected", "Skipped"], "example": "Warehoused"})
            }
            Self::Words => json!({"type": "string", "maxLength": 500, "example": "해리"}),
            Self::Number => number,
            Self::Size => json!({"type": "integer", "minimum": 1, "maximum": 1_000, "default": 20}),
            Self::Wait => json!({"type": "integer", "minimum": 0, "maximum": 10_000, "default": 2_000}),
            Self::Moment => json!({"oneOf": [number, {"type": "string", "format": "date-time"}]}),
            Self::Sort => {
                json!({"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[A-Za-z]+(,[A-Za-z]+)*(,(asc|desc))?$"}, "example": ["position,desc"]})
            }
            Self::Cursor => json!({"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}),
            Self::Order => json!({"type": "string", "enum": ["asc", "desc"], "default": "asc"}),
        }
    }
}
