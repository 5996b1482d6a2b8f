//! An event: as proposed by a writer, and as it stands in the log.

use bytes::Bytes;
use uuid::Uuid;

/// A place in the log: from 1 upwards in steps of one, the order in which events were committed. Signed because
/// SQLite's integers are; never negative.
pub(crate) type Position = i64;

/// A place in a stream: from 0 upwards in steps of one. Signed because SQLite's integers are; never negative.
pub(crate) type Revision = i64;

/// Where a metadata stream is kept: beside the stream of the rest of its name.
pub(crate) const METADATA_STREAM_PREFIX: &str = "$$";

/// The type of the events in a metadata stream.
pub(crate) const METADATA_EVENT_TYPE: &str = "$metadata";

/// The type of the event that a deleted stream ends with for ever, and its revision.
pub(crate) const TOMBSTONE_TYPE: &str = "$streamDeleted";
pub(crate) const TOMBSTONE: Revision = Revision::MAX;

/// The type of an event that stands for another one: its data is `<revision>@<stream>` of that.
pub(crate) const LINK_TYPE: &str = "$>";

/// An event that a writer wants appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProposedEvent {
    pub(crate) id: Uuid,
    pub(crate) event_type: String,
    pub(crate) is_json: bool,
    pub(crate) data: Bytes,
    pub(crate) metadata: Bytes,
}

impl ProposedEvent {
    /// The size that limits are judged by, in bytes. The type counts twice, as if it were stored in UTF-16.
    pub(crate) fn size(&self) -> usize {
        self.data.len() + self.metadata.len() + 2 * self.event_type.len()
    }
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedEvent {
    pub(crate) position: Position,
    pub(crate) stream: Bytes,
    pub(crate) revision: Revision,
    pub(crate) id: Uuid,
    /// When it was appended, in ticks of 100 ns since 1970.
    pub(crate) created: i64,
    pub(crate) event_type: String,
    pub(crate) is_json: bool,
    pub(crate) data: Bytes,
    pub(crate) metadata: Bytes,
}

/// Every stored field of an event, borrowed: what its checksum is taken over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) position: Position,
    pub(crate) stream: &'a str,
    pub(crate) revision: Revision,
    pub(crate) id: &'a [u8],
    pub(crate) created: i64,
    pub(crate) event_type: &'a str,
    pub(crate) is_json: bool,
    pub(crate) data: &'a [u8],
    pub(crate) metadata: &'a [u8],
}

impl Fields<'_> {
    /// CRC-32 over all fields. Lengths are part of it, so that bytes cannot move from one field to the next.
    pub(crate) fn checksum(&self) -> u32 {
        let mut head = [0_u8; 65];
        head[0..8].copy_from_slice(&self.position.to_le_bytes());
        head[8..16].copy_from_slice(&self.revision.to_le_bytes());
        head[16..24].copy_from_slice(&self.created.to_le_bytes());
        let parts = [self.id, self.stream.as_bytes(), self.event_type.as_bytes(), self.data, self.metadata];
        for (length, part) in head[24..64].chunks_exact_mut(8).zip(parts) {
            length.copy_from_slice(&(part.len() as u64).to_le_bytes());
        }
        head[64] = u8::from(self.is_json);

        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        for part in parts {
            crc.update(part);
        }
        crc.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_changes_with_each_field() {
        let fields = Fields {
            position: 7,
            stream: "book-1",
            revision: 3,
            id: &[1; 16],
            created: 17,
            event_type: "Warehoused",
            is_json: true,
            data: b"{}",
            metadata: b"[]",
        };
        let others = [
            Fields { position: 8, ..fields },
            Fields { stream: "book-2", ..fields },
            Fields { revision: 4, ..fields },
            Fields { id: &[2; 16], ..fields },
            Fields { created: 18, ..fields },
            Fields { event_type: "Renewed", ..fields },
            Fields { is_json: false, ..fields },
            Fields { data: b"{ }", ..fields },
            Fields { metadata: b"[ ]", ..fields },
            Fields { data: b"{}[", metadata: b"]", ..fields },
        ];
        for other in others {
            assert_ne!(other.checksum(), fields.checksum(), "{other:?}");
        }
    }
}
