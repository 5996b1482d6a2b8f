//! An ingress ends TLS before the gateway: what it says of the client counts, and nobody else's word does.

use crate::bare::{line, tells_what_it_is_sent};
use e2e::{Gateway, Place, Site};
use reqwest::Method;
use std::sync::Arc;

/// A gateway that trusts these, and takes so many requests from one client.
async fn trusting(place: &Arc<Place>, proxies: &str, requests_per_10s: &str) -> Gateway {
    let service = tells_what_it_is_sent("127.0.0.1:0").await.unwrap();
    let settings = [
        ("GATEWAY_TRUSTED_PROXIES", proxies.to_owned()),
        ("GATEWAY_REQUESTS_PER_10S", requests_per_10s.to_owned()),
    ];
    Gateway::start(place, [service; 2], [service; 2], &settings).await
}

/// What a service hears of the scheme and the client, when a proxy says this of them.
async fn heard(site: &Site, proto: &str, clients: &str) -> (String, String) {
    let said = [
        ("x-forwarded-proto", proto),
        ("x-forwarded-for", clients),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=198.51.100.66"),
    ];
    let told = site.send(Method::GET, "/books/1", &said, "").await.text;
    assert!(!told.contains("evil") && !told.contains("198.51.100.66"), "{told}");
    let heard = |name: &str| line(&told, name).to_owned();
    (heard("x-forwarded-proto"), heard("x-forwarded-for"))
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_the_client_is_passed_on() {
    // One of two networks has the proxy, which is this test, and one more stands before it.
    let place = Arc::new(Place::new());
    let gateway = trusting(&place, "192.0.2.0/24 127.0.0.0/8", "100000").await;
    gateway.ready().await;
    let site = gateway.site();
    let us = "127.0.0.1";
    for (proto, clients, scheme, client) in [
        ("https", "198.51.100.7", "https", "198.51.100.7"),
        ("HTTPS", "2001:db8::7", "https", "2001:db8::7"),
        ("http", "198.51.100.7", "http", "198.51.100.7"),
        // The client's own word, and then that of the proxy.
        ("https", "203.0.113.9, 198.51.100.7", "https", "198.51.100.7"),
        ("https", "203.0.113.9, 198.51.100.7, 192.0.2.4", "https", "198.51.100.7"),
        ("https", "198.51.100.7, 192.0.2.5, 192.0.2.4", "https", "198.51.100.7"),
        ("gopher", "nobody", "http", us),
    ] {
        let expected = (scheme.to_owned(), client.to_owned());
        assert_eq!(heard(&site, proto, clients).await, expected, "{proto} {clients}");
    }
    let log = gateway.log();
    assert!(log.contains(r#""peer":"127.0.0.1","client":"198.51.100.7""#), "{log}");
}

#[tokio::test]
async fn nobody_is_believed_who_is_not_trusted() {
    let place = Arc::new(Place::new());
    for nobody in ["", "192.0.2.0/24"] {
        let gateway = trusting(&place, nobody, "100000").await;
        gateway.ready().await;
        let expected = ("http".to_owned(), "127.0.0.1".to_owned());
        assert_eq!(heard(&gateway.site(), "https", "198.51.100.7").await, expected, "{nobody:?}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let place = Arc::new(Place::new());
    let gateway = trusting(&place, "127.0.0.1", "20").await;
    let site = gateway.site();
    let asks = async |client: &str| {
        let said = [("x-forwarded-for", client)];
        site.send(Method::GET, "/books/1", &said, "").await.status
    };
    let mut refused = false;
    for _ in 0..40 {
        refused |= asks("198.51.100.7").await == 429;
    }
    assert!(refused, "nobody was refused");
    assert_eq!(asks("198.51.100.8").await, 200);
    assert_eq!(asks("2001:db8::8").await, 200);
}
