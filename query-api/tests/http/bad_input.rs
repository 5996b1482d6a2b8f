//! What cannot be answered is refused, with the parameter's name.

use crate::support::Library;

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let library = Library::empty("bad_parameters").await;
    for (path, parameter) in [
        ("/books?page=-1", "page"),
        ("/books?page=x", "page"),
        ("/books?page=0&page=1", "page"),
        ("/books?size=0", "size"),
        ("/books?size=1001", "size"),
        ("/books?size=", "size"),
        ("/books?sort=colour", "sort"),
        ("/books?sort=bookStock", "sort"),
        ("/books?sort=stock,sideways", "sort"),
        ("/books?sort=stock%3BDROP%20TABLE%20rm_1.book_stock", "sort"),
        ("/books?limit=10", "limit"),
        ("/books?%FF=1", "\u{fffd}"),
        ("/admins?sort=stock", "sort"),
        ("/admins?minPosition=latest", "minPosition"),
        ("/admins?minPosition=18446744073709551616", "minPosition"),
        ("/admins?wait=10001", "wait"),
        ("/admins?wait=-5", "wait"),
        ("/books/1?page=0", "page"),
        ("/books/1?minposition=5", "minposition"),
        ("/admins/1?wait=soon", "wait"),
    ] {
        let answer = library.get(path).await;
        assert_eq!(answer.outcome(), (400, "invalid-parameter".to_owned()), "{path}");
        assert_eq!(answer.json()["parameter"], parameter, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_book_is_told_with_the_position_it_is_unknown_at() {
    let library = Library::empty("bad_books").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for path in ["/books/2", "/admins/2", "/books/9007199254740991"] {
        let answer = library.get(path).await;
        assert_eq!(answer.outcome(), (404, "book-unknown".to_owned()), "{path}");
        assert_eq!(answer.header("bookstock-position"), "42");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
}

#[tokio::test]
async fn a_path_that_names_no_book_is_not_found() {
    let library = Library::empty("bad_paths").await;
    for id in
        ["0", "01", "-1", "1.0", "x", "%FF", "9007199254740992", "18446744073709551616", "%27%20OR%201=1"]
    {
        for view in ["books", "admins"] {
            let answer = library.get(&format!("/{view}/{id}")).await;
            assert_eq!(answer.outcome(), (404, "book-unknown".to_owned()), "{view}/{id}");
        }
    }
}
