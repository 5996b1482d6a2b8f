//! What is too large for a question is refused, and people are told so in their language.

use crate::support::{Library, QueryApi};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// What comes for these bytes until the other side closes; a reset is an answer, too.
async fn raw(api: &QueryApi, request: String) -> String {
    let address = api.base.replace("http://", "");
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_question_that_is_too_large_is_refused_and_the_next_is_answered() {
    let library = Library::empty("limits_large").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let api = &library.query_api;
    let end = "host: x\r\nconnection: close\r\n\r\n";
    for (what, statuses, request) in [
        ("a long path", &["414", "431"][..], format!("GET /books/{} HTTP/1.1\r\n{end}", "1".repeat(100_000))),
        ("a long query", &["414", "431"], format!("GET /books?q={} HTTP/1.1\r\n{end}", "a".repeat(100_000))),
        ("a large header", &["431"], format!("GET /books HTTP/1.1\r\nx: {}\r\n{end}", "x".repeat(100_000))),
        (
            "many headers",
            &["431"],
            format!(
                "GET /books HTTP/1.1\r\n{}{end}",
                (0..500).map(|i| format!("x-{i}: 1\r\n")).collect::<String>()
            ),
        ),
        (
            "a large tag",
            &["431"],
            format!("GET /books HTTP/1.1\r\nif-none-match: {}\r\n{end}", "\"0.1\",".repeat(20_000)),
        ),
    ] {
        let answer = raw(api, request).await;
        let refused = statuses.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}")));
        assert!(refused, "{what}: {answer}");
        assert_eq!(api.get("/books/1", &[]).await.status, 200, "after {what}");
    }
    // What fits into a request is still more than any name has.
    let long = format!("/books?q={}", "a".repeat(2_001));
    assert_eq!(api.get(&long, &[]).await.outcome(), (400, "invalid-parameter".to_owned()));
    assert_eq!(api.get(&long[..long.len() - 1], &[]).await.status, 200);
}

#[tokio::test]
async fn a_body_that_comes_with_a_question_is_left_alone() {
    let library = Library::empty("limits_body").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    let api = &library.query_api;
    for (method, path, status) in
        [("GET", "/books/1", "200"), ("GET", "/books", "200"), ("POST", "/books/1", "405")]
    {
        let body = "x".repeat(1 << 20);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = raw(api, request).await;
        // Who goes on sending what nobody reads may find the connection closed before the answer.
        assert!(
            answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{method} {path}: {answer}"
        );
        assert_eq!(api.get("/books/1", &[]).await.status, 200);
    }
}

#[tokio::test]
async fn every_problem_is_told_in_korean_and_in_english() {
    let library = Library::empty("limits_languages").await;
    library.put(42, &["1, NULL, 1.0, 5"]).await;
    for (path, status) in [
        ("/books/2", 404),
        ("/books/x", 404),
        ("/books/2/history", 404),
        ("/books/1?asOf=1", 404),
        ("/nowhere", 404),
        ("/books?size=0", 400),
        ("/books?colour=red", 400),
        ("/books?size=1&size=2", 400),
        ("/books?cursor=x", 400),
        ("/books?cursor=&page=1", 400),
        ("/books?asOf=yesterday", 400),
        ("/books?asOf=2999-01-01T00:00:00Z", 400),
        ("/books?asOf=1&q=a", 400),
        ("/books?version=0", 400),
        ("/books?sort=colour", 400),
        ("/books?wait=10001", 400),
        ("/books/1/history?order=sideways", 400),
        ("/books/changes?since=x", 400),
        ("/books/1?minPosition=43&wait=0", 503),
    ] {
        let mut told = Vec::new();
        for (asked, language) in [("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en", "en"), ("fr", "en")] {
            let answer = library.query_api.get(path, &[("accept-language", asked)]).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text);
            assert_eq!(answer.header("content-language"), language, "{path}");
            let problem = answer.json();
            let (title, detail) = (problem["title"].as_str().unwrap(), problem["detail"].as_str().unwrap());
            let is_korean = |text: &str| text.contains(|letter: char| ('가'..='힣').contains(&letter));
            assert_eq!(
                (is_korean(title), is_korean(detail)),
                (language == "ko", language == "ko"),
                "{path}: {problem}"
            );
            told.push((title.to_owned(), detail.to_owned()));
        }
        assert_eq!(told[1], told[2], "{path}");
    }
}
