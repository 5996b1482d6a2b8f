//! Readers cannot write.

use crate::given::*;
use read_model::migrate;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

#[tokio::test]
async fn the_role_of_readers_reads_every_table_and_writes_none() {
    let url = read_models("rights").await;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET ROLE bookstock_reader").await.unwrap();
    for table in ["rm_1.book_stock", "rm_1.admin_list", "bookstock.projection", "bookstock.active"] {
        client.batch_execute(&format!("SELECT * FROM {table}")).await.unwrap();
        let refused = client.batch_execute(&format!("DELETE FROM {table}")).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{table}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_make_the_role_is_told_what_to_run() {
    let cluster = crate::cluster::Cluster::start();
    let url = cluster.database("no_rights").await;
    sql(&url, "CREATE ROLE humble LOGIN; GRANT CREATE ON DATABASE no_rights TO humble").await;
    let humble = url.replace("bookstock@", "humble@");
    let refused = migrate(&humble).await.unwrap_err().to_string();
    assert!(refused.contains("CREATE ROLE bookstock_reader NOLOGIN;"), "{refused}");

    sql(&url, "CREATE ROLE bookstock_reader NOLOGIN; GRANT bookstock_reader TO humble").await;
    set_up(&humble).await;
    assert_eq!(reader(&humble).ping().await.unwrap().generation, 1);
}
