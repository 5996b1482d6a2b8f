//! The database of a cluster, and who may use it. Run at each start: what is there already stays as it is.

use std::path::Path;
use tokio_postgres::{Client, Config, Error, NoTls};

/// The one database.
pub(super) const DATABASE: &str = "bookstock";

/// Who owns the database.
pub(super) const OWNER: &str = "bookstock";

/// Who may only read.
pub(super) const READER: &str = "bookstock_query";

/// Who may do anything in the cluster; used here and nowhere else.
pub(super) const SUPERUSER: &str = "postgres";

/// The owner may make roles, because the read models set up the group of their readers. The group is made here too, so
/// that the readers' user belongs to it from the start.
const ROLES: &str = "DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bookstock') THEN
        CREATE ROLE bookstock LOGIN CREATEROLE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bookstock_reader') THEN
        CREATE ROLE bookstock_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bookstock_query') THEN
        CREATE ROLE bookstock_query LOGIN;
    END IF;
    GRANT bookstock_reader TO bookstock WITH ADMIN OPTION;
    GRANT bookstock_reader TO bookstock_query;
END $$";

/// Makes what is missing, through the socket in `sockets`.
pub(super) async fn run(sockets: &Path) -> Result<(), Error> {
    let mut config = Config::new();
    config.host_path(sockets).user(SUPERUSER).dbname("postgres").application_name("bookstock up");
    let (client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let made = make_missing(&client).await;
    drop(client);
    // The connection ends with its client; what it could still say was said to the client.
    let _ = connection.await;
    made
}

async fn make_missing(client: &Client) -> Result<(), Error> {
    client.batch_execute(ROLES).await?;
    if client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE]).await?.is_none() {
        client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {OWNER}")).await?;
    }
    Ok(())
}
