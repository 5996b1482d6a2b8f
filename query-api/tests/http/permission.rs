//! The query side can be given a database user who cannot do any harm.

use crate::support::{Library, QueryApi, eventually};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

#[tokio::test]
async fn a_user_who_may_only_read_is_enough_and_can_do_nothing_else() {
    let library = Library::empty("permission").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let (owner, connection) = tokio_postgres::connect(&library.database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    owner.batch_execute("CREATE ROLE shop_window LOGIN IN ROLE bookstock_reader").await.unwrap();
    let url = library.database_url.replace("bookstock@", "shop_window@");

    let query_api = QueryApi::start(&url).await;
    for path in ["/books/1", "/books", "/admins/1", "/admins?minPosition=42"] {
        assert_eq!(query_api.get(path, &[]).await.status, 200, "{path}");
    }

    let (reader, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    for harm in [
        "INSERT INTO rm_1.book_stock VALUES (2, NULL, '', 1.0, 5, 0, 43, now())",
        "UPDATE rm_1.book_stock SET stock = 0",
        "DELETE FROM rm_1.admin_list",
        "TRUNCATE rm_1.admin_list",
        "DROP TABLE rm_1.admin_list",
        "CREATE TABLE rm_1.mine ()",
        "UPDATE bookstock.projection SET position = 43",
        "UPDATE bookstock.active SET generation = 2",
        "SELECT * FROM bookstock.migrations",
        "SET ROLE bookstock",
    ] {
        let refused = reader.batch_execute(harm).await.expect_err(harm);
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{harm}: {refused}");
    }
}

/// The address is that of the owner of all tables, and what the role of readers may not read is not read over it either.
#[tokio::test]
async fn with_an_owners_address_too_it_is_no_more_than_a_reader() {
    let library = Library::empty("permission_owner").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 6"]).await;
    let query_api = QueryApi::start_with(&library.database_url, 0).await;
    query_api.stands_at(42).await;
    for path in ["/books/1", "/admins/1"] {
        assert_eq!(query_api.get(path, &[]).await.status, 200, "{path}");
    }
    library.sql("REVOKE SELECT ON rm_1.admin_list FROM bookstock_reader").await;
    // The owner can still read it.
    library.sql("SELECT * FROM rm_1.admin_list").await;
    assert_eq!(query_api.get("/admins/2", &[]).await.outcome(), (503, "read-model-unavailable".to_owned()));
    assert_eq!(query_api.get("/books/2", &[]).await.json()["stock"], 6);
    library.sql("GRANT SELECT ON rm_1.admin_list TO bookstock_reader").await;
    assert_eq!(eventually(&query_api, "/admins/2", 200).await.json()["bookStock"], 6);

    // Where there is no such role, nothing is read as anybody else.
    let cluster = crate::cluster::Cluster::start();
    let library = Library::in_database(cluster.database("no_role").await).await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    library.sql("DROP OWNED BY bookstock_reader; DROP ROLE bookstock_reader").await;
    let query_api = QueryApi::start(&library.database_url).await;
    assert_eq!(query_api.get("/books/1", &[]).await.outcome(), (503, "read-model-unavailable".to_owned()));
}
