//! Whom a request comes from.

use crate::auth::Caller;
use axum::extract::Request;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The other end of the connection that a request came in on.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Who shares one allowance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Whoever has a token of this subject.
    Subject(Arc<str>),
    /// Whoever comes from this address.
    Address(IpAddr),
    /// Nobody knows.
    Unknown,
}

/// The client of `request`: the subject of its token, else its address. A proxy's word for the address counts if the
/// proxy is trusted; of a chain, the last address that no trusted proxy has.
pub(super) fn of(request: &Request, trusted: &[IpAddr]) -> Client {
    if let Some(caller) = request.extensions().get::<Caller>() {
        return Client::Subject(Arc::clone(caller.subject()));
    }
    let Some(Peer(peer)) = request.extensions().get::<Peer>() else { return Client::Unknown };
    let peer = peer.ip().to_canonical();
    if !trusted.contains(&peer) {
        return Client::Address(peer);
    }
    let said = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<IpAddr> =
        said.flat_map(|value| value.split(',')).filter_map(|address| address.trim().parse().ok()).collect();
    Client::Address(chain.into_iter().rev().find(|address| !trusted.contains(address)).unwrap_or(peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn client(peer: &str, forwarded: &[&str]) -> Client {
        let mut request = Request::get("/");
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
        of(&request, &["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()])
    }

    #[test]
    fn a_client_is_where_its_connection_comes_from_unless_a_trusted_proxy_says_otherwise() {
        let address = |text: &str| Client::Address(text.parse().unwrap());
        assert_eq!(client("192.0.2.7", &[]), address("192.0.2.7"));
        assert_eq!(client("192.0.2.7", &["198.51.100.1"]), address("192.0.2.7"));
        assert_eq!(client("::ffff:192.0.2.7", &[]), address("192.0.2.7"));
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.1", "10.0.0.2"]), address("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["nonsense"]), address("10.0.0.1"));
    }
}
