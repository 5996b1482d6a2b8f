//! How commands come in. This file only lists: a way in is a file, and beside those is what all of them share.

mod book_now;
mod desk;
mod explain;
pub(crate) mod grpc;
mod headers;
pub(crate) mod http;
mod problem;

pub(crate) use desk::Desk;
