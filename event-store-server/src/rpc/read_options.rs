//! What a `Streams.Read` asks for, checked and in our own words. The combinations that exist are the protocol's.

use super::status;
use crate::log::filter::{Filter, Pattern, Prefixes, Regex, Subject};
use crate::log::{Links, Position, Revision};
use crate::memory::{Memory, Room};
use crate::protocol::shared::StreamIdentifier;
use crate::protocol::streams::ReadReq;
use crate::protocol::streams::read_req::Options;
use crate::protocol::streams::read_req::options::filter_options::{Expression, Filter as WireFilter, Window};
use crate::protocol::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption, StreamOptions,
    all_options::AllOption, stream_options::RevisionOption, uuid_option,
};
use std::sync::Arc;
use tonic::Status;

/// So many events are between two checkpoints of a filtered subscription that does not say how many.
const DEFAULT_WINDOW: u64 = 32;

/// All prefixes of a filter together, in bytes, and what is counted with each.
const PREFIXES: usize = 64 << 10;
const BESIDE_PREFIX: usize = 32;

/// A filter's regular expression, in bytes.
const REGEX: usize = 4 << 10;

/// A read or a subscription.
#[derive(Debug)]
pub(super) struct ReadOptions {
    pub(super) source: Source,
    pub(super) extent: Extent,
    pub(super) form: Form,
}

/// What is read.
#[derive(Debug)]
pub(super) enum Source {
    Stream { identifier: Option<StreamIdentifier>, from: Starting<Revision>, direction: Direction },
    All { from: Starting<Position>, direction: Direction, filter: Option<AllFilter> },
}

/// A filter of `$all`, and how often a subscription wants to hear how far it has come.
#[derive(Debug)]
pub(super) struct AllFilter {
    pub(super) filter: Arc<Filter>,
    /// The memory that it takes.
    pub(super) room: Room,
    /// A checkpoint comes after so many events were looked at.
    pub(super) checkpoint_interval: usize,
}

/// Where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starting<T> {
    Start,
    At(T),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forwards,
    Backwards,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// So many events at most.
    Count(u64),
    /// All there are and all that will come.
    Subscription,
}

/// How the answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) structured_ids: bool,
    /// Whether the client knows the answers about a stream's first and last position.
    pub(super) stream_positions: bool,
    pub(super) links: Links,
}

/// `filters` is the memory that filters have.
pub(super) fn parse(request: ReadReq, filters: &Memory) -> Result<ReadOptions, Status> {
    let options = request.options.ok_or_else(|| missing("options"))?;
    let form = form(&options)?;
    let direction = match ReadDirection::try_from(options.read_direction) {
        Ok(ReadDirection::Forwards) => Direction::Forwards,
        Ok(ReadDirection::Backwards) => Direction::Backwards,
        Err(_) => return Err(Status::invalid_argument("The read direction is not a known one.")),
    };
    let extent = match options.count_option {
        Some(CountOption::Count(count)) => Extent::Count(count),
        Some(CountOption::Subscription(_)) => Extent::Subscription,
        None => return Err(missing("count_option")),
    };
    if extent == Extent::Subscription && direction == Direction::Backwards {
        return Err(Status::invalid_argument("A subscription cannot go backwards."));
    }
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => Some(all_filter(filter, extent, filters)?),
        Some(FilterOption::NoFilter(_)) => None,
        None => return Err(missing("filter_option")),
    };
    let source = match (options.stream_option, filter) {
        (Some(StreamOption::Stream(_)), Some(_)) => {
            return Err(Status::invalid_argument("Only reads of $all can have a filter."));
        }
        (Some(StreamOption::Stream(stream)), None) => {
            let from = from_revision(&stream)?;
            Source::Stream { identifier: stream.stream_identifier, from, direction }
        }
        (Some(StreamOption::All(all)), filter) => {
            Source::All { from: from_position(&all)?, direction, filter }
        }
        (None, _) => return Err(missing("stream_option")),
    };
    Ok(ReadOptions { source, extent, form })
}

fn form(options: &Options) -> Result<Form, Status> {
    let ids = options.uuid_option.as_ref().ok_or_else(|| missing("uuid_option"))?;
    let compatibility = options.control_option.as_ref().map_or(0, |control| control.compatibility);
    Ok(Form {
        structured_ids: !matches!(ids.content, Some(uuid_option::Content::String(_))),
        stream_positions: compatibility >= 1,
        links: if options.resolve_links { Links::Resolve } else { Links::Keep },
    })
}

fn from_revision(options: &StreamOptions) -> Result<Starting<Revision>, Status> {
    match &options.revision_option {
        Some(RevisionOption::Start(_)) => Ok(Starting::Start),
        Some(RevisionOption::End(_) | RevisionOption::Revision(u64::MAX)) => Ok(Starting::End),
        Some(RevisionOption::Revision(revision)) => i64::try_from(*revision)
            .map(Starting::At)
            .map_err(|_| Status::invalid_argument(format!("{revision} is not a valid stream revision."))),
        None => Err(missing("revision_option")),
    }
}

fn from_position(options: &AllOptions) -> Result<Starting<Position>, Status> {
    match &options.all_option {
        Some(AllOption::Start(_)) => Ok(Starting::Start),
        Some(AllOption::End(_)) => Ok(Starting::End),
        Some(AllOption::Position(position)) if position.commit_position == u64::MAX => Ok(Starting::End),
        Some(AllOption::Position(position)) if position.prepare_position > position.commit_position => {
            Err(status::invalid_position())
        }
        Some(AllOption::Position(position)) => {
            i64::try_from(position.commit_position).map(Starting::At).map_err(|_| status::invalid_position())
        }
        None => Err(missing("all_option")),
    }
}

fn all_filter(options: FilterOptions, extent: Extent, filters: &Memory) -> Result<AllFilter, Status> {
    let window = match options.window {
        Some(Window::Max(0)) => return Err(Status::invalid_argument("A filter's window cannot be 0.")),
        Some(Window::Max(max)) => max.into(),
        Some(Window::Count(_)) => DEFAULT_WINDOW,
        None => return Err(missing("window")),
    };
    let interval = window * u64::from(options.checkpoint_interval_multiplier);
    // A read sends no checkpoints, and its client may not have set it.
    if interval == 0 && extent == Extent::Subscription {
        return Err(Status::invalid_argument("A filter's checkpoint interval multiplier cannot be 0."));
    }
    let (subject, expression) = match options.filter {
        Some(WireFilter::StreamIdentifier(expression)) => (Subject::StreamName, expression),
        Some(WireFilter::EventType(expression)) => (Subject::EventType, expression),
        None => return Err(missing("filter")),
    };
    let filter = Filter::new(subject, pattern(expression)?);
    Ok(AllFilter {
        room: filters.room_at_once(filter.bytes())?,
        filter: Arc::new(filter),
        checkpoint_interval: usize::try_from(interval).unwrap_or(usize::MAX),
    })
}

/// A regular expression wins over prefixes. Both are limited and counted, since a subscription keeps its filter as long as it lives.
fn pattern(expression: Expression) -> Result<Pattern, Status> {
    if expression.regex.is_empty() {
        let bytes: usize = expression.prefix.iter().map(|prefix| prefix.len() + BESIDE_PREFIX).sum();
        if bytes > PREFIXES {
            return Err(Status::invalid_argument(format!(
                "The filter's prefixes have {bytes} bytes, with {BESIDE_PREFIX} for each; at most {PREFIXES} are allowed."
            )));
        }
        return Ok(Pattern::Prefixes(Prefixes::new(expression.prefix)));
    }
    if expression.regex.len() > REGEX {
        return Err(Status::invalid_argument(format!(
            "The filter's regular expression has {} bytes; at most {REGEX} are allowed.",
            expression.regex.len()
        )));
    }
    let regex = Regex::new(&expression.regex);
    regex.map(|regex| Pattern::Regex(Box::new(regex))).map_err(|error| {
        status::invalid(match (error.size_limit(), error.syntax_error()) {
            (Some(most), _) => format!(
                "The filter's regular expression is too large: compiled it may have {most} bytes. Each \\w of a repetition takes many: [a-z] takes few."
            ),
            (None, Some(error)) => format!(
                "The filter's regular expression is not supported (look-around and back-references are not): {error}"
            ),
            (None, None) => format!("The filter's regular expression is not supported: {error}"),
        })
    })
}

fn missing(name: &str) -> Status {
    Status::invalid_argument(format!("'{name}' is required to read."))
}
