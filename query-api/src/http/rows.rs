//! The rows of a list without a document around them: CSV, and JSON a line.

use super::media::Media;
use super::shown::Shown;
use axum::body::{Body, Bytes};
use futures_util::stream;
use read_model::{ReaderError, Rows};
use service_kit::Problem;
use std::io;

/// The rows as one body.
pub(super) fn written<V: Shown>(media: Media, rows: &[V::Row]) -> Result<Body, Problem> {
    let mut text = head::<V>(media).map_err(|error| Problem::internal(&error))?;
    write::<V>(media, rows, &mut text).map_err(|error| Problem::internal(&error))?;
    Ok(text.into())
}

/// The rows as they come. When they end before the last, so does the connection: what was cut off cannot pass for
/// the whole.
pub(super) fn streamed<V: Shown>(media: Media, rows: Rows<V::Row>) -> Body {
    let first = head::<V>(media);
    Body::from_stream(stream::unfold((Some(first), rows), move |(first, mut rows)| async move {
        if let Some(first) = first {
            return Some((first.map(Bytes::from), (None, rows)));
        }
        let part = match rows.next().await? {
            Ok(part) => part,
            Err(error) => return Some((Err(cut_off(&error)), (None, rows))),
        };
        let mut text = Vec::new();
        let text = write::<V>(media, &part, &mut text).map(|()| Bytes::from(text));
        Some((text, (None, rows)))
    }))
}

fn cut_off(error: &ReaderError) -> io::Error {
    tracing::warn!(%error, "a list was cut off");
    io::Error::other(error.to_string())
}

fn head<V: Shown>(media: Media) -> io::Result<Vec<u8>> {
    match media {
        Media::Csv => line(csv::Writer::from_writer(Vec::new()), V::FIELDS),
        Media::NdJson | Media::Hal => Ok(Vec::new()),
    }
}

fn write<V: Shown>(media: Media, rows: &[V::Row], out: &mut Vec<u8>) -> io::Result<()> {
    match media {
        Media::Csv => {
            let mut writer = csv::Writer::from_writer(&mut *out);
            for row in rows {
                writer.write_record(V::values(row))?;
            }
            writer.flush()
        }
        Media::NdJson | Media::Hal => {
            for row in rows {
                serde_json::to_writer(&mut *out, &V::json(row, None))?;
                out.push(b'\n');
            }
            Ok(())
        }
    }
}

fn line(mut writer: csv::Writer<Vec<u8>>, fields: &[&str]) -> io::Result<Vec<u8>> {
    writer.write_record(fields)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
