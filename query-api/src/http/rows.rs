//! The rows of a list without a document around them: CSV, and JSON a line.

use super::field::Field;
use super::inquiry::Inquiry;
use super::media::Media;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use read_model::{At, ReaderError, Rows};
use serde::Serialize;
use service_kit::{Origin, Problem};
use std::io;

/// Rows as they are written, in every form.
pub(super) trait Written: Send + Sync + 'static {
    /// A row.
    type Row: Clone + Send + Sync + 'static;

    /// What the OpenAPI document calls a row.
    const ROW: &'static str;
    /// What a list of them is called.
    const LIST: &'static str;
    /// The fields that rows have in every form, in their order.
    const FIELDS: &'static [Field];
    /// Whether a row has links where it has a document around it.
    const LINKED: bool;

    /// A row as JSON: with links for a client who came in at `origin`, if there is one.
    fn json<'a>(row: &'a Self::Row, origin: Option<&'a Origin>) -> impl Serialize + 'a;

    /// The values of [`Written::FIELDS`].
    fn values(row: &Self::Row) -> Vec<String>;
}

/// Answers with some rows, all of which are at hand.
pub(super) fn answer_some<V: Written, T>(
    inquiry: &Inquiry,
    path: &str,
    found: &At<T>,
    rows: &[V::Row],
) -> Result<Response, Problem> {
    let Inquiry { media, .. } = *inquiry;
    inquiry.answer_rows(path, found, || Ok(written::<V>(media, rows)?.into()))
}

/// Answers with all rows of a list as they come.
pub(super) fn answer_all<V: Written<Row: From<R>>, R: Clone + Send + Sync + 'static>(
    inquiry: &Inquiry,
    path: &str,
    found: At<Rows<R>>,
) -> Result<Response, Problem> {
    let (standing, rows) = found.split();
    inquiry.answer_rows(path, &standing, || Ok(streamed::<V, R>(inquiry.media, rows)))
}

/// The rows in one piece.
pub(super) fn written<V: Written>(media: Media, rows: &[V::Row]) -> Result<Vec<u8>, Problem> {
    let mut text = head::<V>(media).map_err(|error| Problem::internal(&error))?;
    write::<V>(media, rows, &mut text).map_err(|error| Problem::internal(&error))?;
    Ok(text)
}

/// The rows as they come. When they end before the last, so does the connection: what was cut off cannot pass for
/// the whole.
fn streamed<V: Written<Row: From<R>>, R: Clone + Send + Sync + 'static>(media: Media, rows: Rows<R>) -> Body {
    let first = head::<V>(media);
    Body::from_stream(stream::unfold((Some(first), rows), move |(first, mut rows)| async move {
        if let Some(first) = first {
            return Some((first.map(Bytes::from), (None, rows)));
        }
        let part = match rows.next().await? {
            Ok(part) => part.into_iter().map(V::Row::from).collect::<Vec<_>>(),
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

fn head<V: Written>(media: Media) -> io::Result<Vec<u8>> {
    match media {
        Media::Csv => {
            let names: Vec<_> = V::FIELDS.iter().map(|field| field.name).collect();
            line(csv::Writer::from_writer(Vec::new()), &names)
        }
        Media::NdJson | Media::Hal => Ok(Vec::new()),
    }
}

fn write<V: Written>(media: Media, rows: &[V::Row], out: &mut Vec<u8>) -> io::Result<()> {
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
