//! No bad token gets in, and a good one only where it belongs.

use crate::bad_tokens::{Issued, bad_tokens};
use crate::issuer::{Issuer, Pair};
use crate::support::{Service, claims, token};

#[tokio::test]
async fn no_bad_token_gets_in() {
    let (ec, rsa) = (Pair::ec("ec"), Pair::rsa("rsa"));
    let issuer = Issuer::with(&[&ec, &rsa]).await;
    let service = Service::trusting(&issuer, &[]);
    assert_eq!(service.get_with(&token(&ec, &claims(&issuer))).await.status, 200);
    let stranger = Pair::ec("ec");
    let (rsa, stranger) = (rsa.public(), stranger.private);
    let bad = bad_tokens(&Issued {
        issuer: &issuer.url,
        kid: &ec.kid,
        key: &ec.private,
        rsa: &rsa,
        stranger: &stranger,
    });
    assert!(bad.len() >= 40);
    for (name, token) in bad {
        let answer = service.get_with(&token).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "token-invalid"),
            "{name}: {}",
            answer.body
        );
        assert!(answer.challenge.contains(r#"error="invalid_token""#), "{name}");
        assert!(token.len() < 20 || !answer.body.contains(&token), "{name}: the token is told");
    }
}

#[tokio::test]
async fn a_token_counts_only_in_its_one_header() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    let token = token(&pair, &claims(&issuer));
    let bearer = format!("Bearer {token}");
    for (headers, path) in [
        (vec![], format!("/books?access_token={token}")),
        (vec![("cookie", format!("access_token={token}"))], "/books".to_owned()),
        (vec![("authorization", format!("Basic {token}"))], "/books".to_owned()),
        (vec![("authorization", token.clone())], "/books".to_owned()),
        (vec![("authorization", bearer.clone()), ("authorization", bearer.clone())], "/books".to_owned()),
        (vec![("x-forwarded-authorization", bearer.clone())], "/books".to_owned()),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(service.send("GET", &path, &headers).await.status, 401, "{path} {headers:?}");
    }
    // The scheme is not case-sensitive (RFC 9110, section 11.1).
    assert_eq!(
        service.send("GET", "/books", &[("authorization", &format!("bearer {token}"))]).await.status,
        200
    );
}
