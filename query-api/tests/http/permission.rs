//! The query side can be given a database user who cannot do any harm.

use crate::support::{Library, QueryApi};
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
