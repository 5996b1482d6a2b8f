//! Where everything is, for programs and for people.

use anyhow::Context as _;
use serde::Serialize;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// The addresses of a running system, as `bookstock.json` has them. They may carry passwords.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// All routes.
    pub gateway: String,
    /// The command side.
    pub command_api: String,
    /// The command side for gRPC.
    pub grpc: String,
    /// The query side.
    pub query_api: String,
    /// The query side once more, for the admin list.
    pub admin: String,
    /// What the projector tells of itself.
    pub projector: String,
    /// The event store, as an EventStoreDB connection string.
    pub event_store: String,
    /// The database of the read models.
    pub database: String,
}

impl Addresses {
    /// Tells people where everything is and what to try. Addresses that came from outside are not repeated, because
    /// they may carry passwords.
    pub(super) fn greet(&self, own_event_store: bool, own_database: bool) -> std::io::Result<()> {
        let event_store = if own_event_store { "as EVENT_STORE_URL says" } else { &self.event_store };
        let database = if own_database { "as DATABASE_URL says" } else { &self.database };
        let Self { gateway, command_api, grpc, query_api, admin, projector, .. } = self;
        let mut out = std::io::stdout().lock();
        write!(
            out,
            "bookstock is ready

  gateway      {gateway}
  command-api  {command_api}
  gRPC         {grpc}
  query-api    {query_api}
  admin        {admin}
  projector    {projector}/status
  event store  {event_store}
  database     {database}

Try:

  curl -s {gateway}/books/1/warehousings -H 'Content-Type: application/json' -d '{{\"qty\": 123}}'
  curl -s {gateway}/libraries/1
  curl -s '{gateway}/admins?size=20'

Ctrl-C stops it.
"
        )?;
        out.flush()
    }
}

/// The address of an HTTP listener.
pub(super) fn http(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", local(listener)?))
}

/// The address of an event store without TLS.
pub(super) fn event_store(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("esdb://{}?tls=false", local(listener)?))
}

fn local(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().map(reachable).context("the address listened on is not known")
}

/// Listening on every address means that this machine reaches it on its own.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_told_is_one_that_can_be_reached() {
        for (listening, told) in [
            ("127.0.0.1:8088", "127.0.0.1:8088"),
            ("0.0.0.0:8088", "127.0.0.1:8088"),
            ("[::]:8088", "[::1]:8088"),
            ("192.0.2.7:8088", "192.0.2.7:8088"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), told);
        }
    }

    #[test]
    fn programs_find_the_addresses_under_these_names() {
        let addresses = Addresses {
            gateway: "g".to_owned(),
            command_api: "c".to_owned(),
            grpc: "r".to_owned(),
            query_api: "q".to_owned(),
            admin: "a".to_owned(),
            projector: "p".to_owned(),
            event_store: "e".to_owned(),
            database: "d".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&addresses).unwrap(),
            r#"{"gateway":"g","commandApi":"c","grpc":"r","queryApi":"q","admin":"a","projector":"p","eventStore":"e","database":"d"}"#
        );
    }
}
