//! How requests are decoded: as prost does it, where that cannot make much memory of few bytes.

use prost::Message;
use prost::bytes::Buf as _;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// So many fields one message may have. Each takes up to 144 bytes when it is decoded, and may be sent as two: all of them take
/// about twice what the largest message takes. Clients send 3 MiB of events at once: of small ones that is enough.
const FIELDS: usize = 192 << 10;

/// What the generated services encode and decode with.
#[derive(Debug)]
pub(crate) struct Bounded<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Bounded<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Bounded<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// Decodes messages that are not made to fill the memory.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = from.copy_to_bytes(from.remaining());
        if fields(&message, FIELDS) > FIELDS {
            return Err(Status::resource_exhausted(format!(
                "The message has more than {FIELDS} fields, which is about {} events: send them in several.",
                FIELDS / 6
            )));
        }
        // Out of a slice, so that what is decoded has its bytes for itself: else a small event keeps a large message.
        U::decode(&message[..]).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// How many fields with a length of their own a message has, and those messages that it consists of: these are the ones that
/// take memory. Counting ends behind `most`, and where it is no message any more, which the decoder tells better.
fn fields(message: &[u8], most: usize) -> usize {
    let mut count = 0;
    let mut rest = message;
    while count <= most
        && let Some(field) = next_field(&mut rest)
    {
        if let Some(mut inner) = field {
            count += 1;
            while count <= most
                && let Some(field) = next_field(&mut inner)
            {
                count += usize::from(field.is_some());
            }
        }
    }
    count
}

/// The next field: its bytes, if it has a length of its own. `None` at the end.
fn next_field<'m>(rest: &mut &'m [u8]) -> Option<Option<&'m [u8]>> {
    let key = varint(rest)?;
    let length = match key & 7 {
        0 => return varint(rest).map(|_| None),
        1 => 8,
        2 => varint(rest)?,
        5 => 4,
        // The begin or the end of a group: its fields follow like others.
        _ => return Some(None),
    };
    let (field, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some((key & 7 == 2).then_some(field))
}

fn varint(rest: &mut &[u8]) -> Option<usize> {
    prost::decode_length_delimiter(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::streams::append_req::{Content, ProposedMessage};
    use crate::protocol::streams::batch_append_req;
    use crate::protocol::streams::{AppendReq, BatchAppendReq};

    #[test]
    fn what_takes_memory_is_counted_wherever_it_is_in_a_message() {
        let metadata = (0..7).map(|n| (n.to_string(), String::new())).collect();
        let proposed = ProposedMessage { metadata, data: "data".into(), ..ProposedMessage::default() };
        let append = AppendReq { content: Some(Content::ProposedMessage(proposed)) };
        assert_eq!(fields(&append.encode_to_vec(), 100), 1 + 7 + 1);

        let proposed_messages = vec![batch_append_req::ProposedMessage::default(); 50];
        let batch = BatchAppendReq { proposed_messages, is_final: true, ..BatchAppendReq::default() };
        let batch = batch.encode_to_vec();
        assert_eq!(fields(&batch, 100), 50);
        assert_eq!(fields(&batch, 30), 31, "it need not be known how many more there are");
    }

    #[test]
    fn counting_ends_where_it_is_no_message_any_more() {
        for garbage in [&[0x1a, 0xff][..], &[0x1a, 5, 0], &[0xff; 20], &[0x0d, 1], &[0x08]] {
            assert_eq!(fields(garbage, 100), 0, "{garbage:?}");
        }
        assert_eq!(fields(&[0x1a, 0, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0], 100), 2);
        assert_eq!(fields(&[0x0b, 0x0c, 0x1a, 0], 100), 1, "behind a group");
    }
}
