//! How commands come in. This file only lists; another way in, such as gRPC, is a file beside `http`.

pub(crate) mod http;
