//! `asOf`: what the books were at a time or a position, told from their history.
//!
//! A position has to be reached first, as with `minPosition`. A time has to have passed.

use super::asked::{self, part_of};
use super::consistency::Freshness;
use super::hal::Collection;
use super::inquiry::Inquiry;
use super::media::Media;
use super::paging;
use super::parameters::Parameters;
use super::rows;
use super::shown::Shown;
use crate::problem;
use axum::response::Response;
use read_model::past::{self, Moment};
use read_model::{At, BookId, Column, Key, Mark, Reader};
use service_kit::{Problem, clock, text};
use std::fmt;

/// What a list can be asked for that its past cannot.
const ONLY_NOW: [&str; 7] = ["page", "sort", "q", "minStock", "maxStock", "version", "changedSince"];

/// A moment that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsOf(Moment);

impl AsOf {
    pub(super) fn of(parameters: &mut Parameters) -> Result<Option<Self>, Problem> {
        let Some(text) = parameters.text("asOf")? else { return Ok(None) };
        match asked::moment("asOf", text)? {
            Moment::Time(time) if time.unix_micros() > clock::unix_micros() => Err(problem::not_yet(time)),
            moment @ (Moment::Time(_) | Moment::Position(_)) => Ok(Some(Self(moment))),
        }
    }

    /// The moment itself.
    pub(super) fn moment(self) -> Moment {
        self.0
    }

    /// As fresh as it takes to tell.
    pub(super) fn freshness(self, asked: Freshness) -> Freshness {
        match self.0 {
            Moment::Position(position) => asked.at_least(position),
            Moment::Time(_) => asked,
        }
    }

    /// What a book was.
    pub(super) async fn one<V: Shown>(
        self,
        reader: &Reader,
        freshness: Freshness,
        book: BookId,
    ) -> Result<At<Option<V::Row>>, Problem> {
        let found =
            self.freshness(freshness).read_of(book, reader, || past::book(reader, book, self.0)).await?;
        Ok(found.map(|row| row.map(V::Row::from)))
    }

    /// What the books of a list were, in the order of their ids.
    pub(super) async fn list<V: Shown>(
        self,
        reader: &Reader,
        freshness: Freshness,
        mut inquiry: Inquiry,
    ) -> Result<Response, Problem> {
        if let Some(name) = ONLY_NOW.into_iter().find(|name| inquiry.parameters.all(name).next().is_some()) {
            let reason = text!(
                en: "a list of the past has its books in the order of their ids, takes size and cursor, and no {name}",
                ko: "과거 시점의 목록은 bookId 순서로만, size 와 cursor 로 조회합니다. {name} 은(는) 쓸 수 없습니다"
            );
            return Err(problem::invalid_parameter(name, &reason));
        }
        let part = part_of(&mut inquiry.parameters, Column::BookId)?;
        inquiry.parameters.refuse_others()?;
        let freshness = self.freshness(freshness);
        if part.of_all && inquiry.media != Media::Hal {
            let found = freshness.read(reader, || past::all(reader, self.0)).await?;
            return rows::answer_all::<V, _>(&inquiry, V::PATH, found);
        }
        let after = part.after.map(|mark| mark.book_id);
        let found = freshness.read(reader, || past::books(reader, self.0, after, part.size)).await?;
        let next = found.value.next.map(|book_id| Mark { key: Key::BookId, book_id });
        let found = found.map(|slice| slice.rows.into_iter().map(V::Row::from).collect::<Vec<_>>());
        if inquiry.media != Media::Hal {
            return rows::answer_some::<V, _>(&inquiry, V::PATH, &found, &found.value);
        }
        let Inquiry { origin, parameters, .. } = &inquiry;
        let mut links = paging::links_of_walk(next.as_ref(), origin, V::PATH, parameters);
        links.add("profile", origin.href(V::PROFILE));
        let shown = found.value.iter().map(|row| V::json(row, Some(origin))).collect();
        let list = Collection::new(V::LIST, shown, links, paging::Part { size: part.size });
        inquiry.answer_list(V::PATH, &found, &list)
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Moment::Position(position) => position.fmt(out),
            Moment::Time(time) => time.fmt(out),
        }
    }
}
