//! Entity tags over HTTP.

use crate::support::Library;

#[tokio::test]
async fn a_client_that_has_the_answer_does_not_get_it_again() {
    let library = Library::empty("caching").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    for path in ["/books/1", "/admins/1", "/books", "/admins", "/admins?size=1&page=1"] {
        let first = library.get(path).await;
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag");
        let again = library.query_api.get(path, &[("if-none-match", tag)]).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("bookstock-position"), "42");
    }
}

#[tokio::test]
async fn a_change_makes_another_tag_for_the_book_and_for_every_list() {
    let library = Library::empty("caching_change").await;
    library.put(42, &["1, NULL, 1.0, 5", "2, NULL, 1.0, 5"]).await;
    let paths = ["/books/1", "/admins/1", "/books", "/admins"];
    let mut tags = Vec::new();
    for path in paths {
        tags.push(library.get(path).await.header("etag").to_owned());
    }
    assert_eq!(tags[0], "\"0.1\"");
    let unchanged = library.get("/books/2").await.header("etag").to_owned();
    library.put(43, &["1, NULL, 1.0, 12"]).await;
    for (path, tag) in paths.into_iter().zip(&tags) {
        let answer = library.query_api.get(path, &[("if-none-match", tag)]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_ne!(answer.header("etag"), tag);
    }
    assert_eq!(library.get("/books/1").await.header("etag"), "\"1.1\"");
    let other = library.query_api.get("/books/2", &[("if-none-match", &unchanged)]).await;
    assert_eq!((other.status, other.header("bookstock-position")), (304, "43"));
}
