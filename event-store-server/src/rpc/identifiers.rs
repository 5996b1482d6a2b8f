//! Names and ids on the wire.

use super::status;
use crate::config::Limits;
use crate::protocol::shared::{StreamIdentifier, Uuid as WireUuid, uuid as wire_uuid};
use std::sync::Arc;
use tonic::Status;
use uuid::Uuid;

/// The name of a stream that can be appended to and read.
pub(super) fn stream_name(identifier: Option<StreamIdentifier>, limits: &Limits) -> Result<Arc<str>, Status> {
    let bytes = identifier.map(|identifier| identifier.stream_name).unwrap_or_default();
    let name =
        std::str::from_utf8(&bytes).map_err(|_| Status::invalid_argument("The stream name is not UTF-8."))?;
    match name {
        "" => Err(Status::invalid_argument("The stream name is missing.")),
        "$$" | "$all" => Err(Status::invalid_argument(format!("'{name}' is not the name of a stream."))),
        _ if name.len() > limits.max_name_bytes => Err(Status::invalid_argument(format!(
            "The stream name has {} bytes; at most {} are allowed.",
            name.len(),
            limits.max_name_bytes
        ))),
        _ => Ok(name.into()),
    }
}

/// An id that a caller sent.
pub(super) fn parse_uuid(id: Option<&WireUuid>) -> Result<Uuid, Status> {
    match id.and_then(|id| id.value.as_ref()) {
        Some(wire_uuid::Value::String(text)) => {
            Uuid::parse_str(text).map_err(|_| status::invalid(format!("'{text}' is not a UUID.")))
        }
        Some(wire_uuid::Value::Structured(halves)) => Ok(Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        None => Err(Status::invalid_argument("A UUID is missing.")),
    }
}

/// An id as text.
pub(super) fn textual(id: Uuid) -> WireUuid {
    WireUuid { value: Some(wire_uuid::Value::String(id.to_string())) }
}

/// An id as two halves.
pub(super) fn structured(id: Uuid) -> WireUuid {
    let (most, least) = id.as_u64_pair();
    let halves = wire_uuid::Structured {
        most_significant_bits: most.cast_signed(),
        least_significant_bits: least.cast_signed(),
    };
    WireUuid { value: Some(wire_uuid::Value::Structured(halves)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_id_come_back_as_the_same_id() {
        let id = Uuid::from_u128(0xf047_ab10_58cc_4372_a567_0e02_b2c3_d479);
        assert_eq!(parse_uuid(Some(&textual(id))).unwrap(), id);
        assert_eq!(parse_uuid(Some(&structured(id))).unwrap(), id);
        assert!(parse_uuid(None).is_err());
        assert!(parse_uuid(Some(&WireUuid { value: None })).is_err());
    }

    #[test]
    fn a_stream_needs_a_name_that_is_text_and_not_reserved() {
        let limits = Limits { max_name_bytes: 8, ..Limits::default() };
        let parse =
            |name: &'static [u8]| stream_name(Some(StreamIdentifier { stream_name: name.into() }), &limits);
        assert_eq!(&*parse(b"$$book-1").unwrap(), "$$book-1");
        for refused in [&b""[..], b"$$", b"$all", b"\xff\xfe", b"123456789"] {
            assert_eq!(parse(refused).unwrap_err().code(), tonic::Code::InvalidArgument, "{refused:?}");
        }
        assert!(stream_name(None, &limits).is_err());
    }
}
