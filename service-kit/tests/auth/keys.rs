//! The issuer's keys as they come and go.

use crate::issuer::{Issuer, Pair};
use crate::support::{Service, claims, header, token};
use jsonwebtoken::{Header, encode};
use serde_json::json;
use std::time::{Duration, Instant};

/// Tries until the answer has this status: keys are asked for once in some seconds at most.
async fn eventually(service: &Service, token: &str, status: u16) {
    let reached = async {
        while service.get_with(token).await.status != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_key_that_the_issuer_has_verifies_its_tokens() {
    let pairs = [Pair::ec("ec"), Pair::ed("ed"), Pair::rsa("rsa")];
    let issuer = Issuer::with(&pairs.each_ref()).await;
    let service = Service::trusting(&issuer, &[]);
    for pair in &pairs {
        assert_eq!(service.get_with(&token(pair, &claims(&issuer))).await.status, 200, "{}", pair.kid);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_learnt_when_its_first_token_comes_and_an_old_one_is_forgotten() {
    let (old, new) = (Pair::ec("old"), Pair::ec("new"));
    let issuer = Issuer::with(&[&old]).await;
    let service = Service::trusting(&issuer, &["--auth-keys-max-age", "1"]);
    let (of_old, of_new) = (token(&old, &claims(&issuer)), token(&new, &claims(&issuer)));
    assert_eq!(service.get_with(&of_old).await.status, 200);
    assert_eq!(service.get_with(&of_new).await.status, 401);
    issuer.tells(&[&new]);
    eventually(&service, &of_new, 200).await;
    assert_eq!(service.get_with(&of_old).await.status, 401);
}

#[tokio::test]
async fn known_keys_are_believed_while_the_issuer_is_down_and_unknown_ones_never() {
    let (known, unknown) = (Pair::ec("known"), Pair::ec("unknown"));
    let issuer = Issuer::with(&[&known, &unknown]).await;
    issuer.is_up(false);
    let service = Service::trusting(&issuer, &["--auth-keys-max-age", "1"]);
    let of_known = token(&known, &claims(&issuer));
    let answer = service.get_with(&of_known).await;
    assert_eq!((answer.status, answer.problem().as_str()), (401, "token-unverifiable"));
    issuer.tells(&[&known]);
    issuer.is_up(true);
    eventually(&service, &of_known, 200).await;
    issuer.is_up(false);
    // Past the age at which they are asked for again.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(service.get_with(&of_known).await.status, 200);
    assert_eq!(service.get_with(&token(&unknown, &claims(&issuer))).await.status, 401);
}

#[tokio::test]
async fn a_flood_of_invented_keys_does_not_become_a_flood_of_questions() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    let started = Instant::now();
    for invented in 0..200 {
        let pair = Pair { kid: format!("invented-{invented}"), ..pair.clone() };
        assert_eq!(service.get_with(&token(&pair, &claims(&issuer))).await.status, 401);
    }
    let asked_in_time = 2 + started.elapsed().as_secs() / 5;
    assert!(u64::from(issuer.asked()) <= asked_in_time, "{} in {:?}", issuer.asked(), started.elapsed());
}

#[tokio::test]
async fn while_the_issuer_hangs_whoever_has_a_known_key_does_not_wait_for_it() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &["--auth-keys-max-age", "1"]);
    let token = token(&pair, &claims(&issuer));
    assert_eq!(service.get_with(&token).await.status, 200);
    issuer.hangs();
    let answered_meanwhile = async {
        loop {
            let before = issuer.questions();
            assert_eq!(service.get_with(&token).await.status, 200);
            // It was being asked all the while.
            if before.1 == 1 && issuer.questions() == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered_meanwhile).await.unwrap();
}

#[tokio::test]
async fn who_hangs_up_does_not_have_the_issuer_asked_more_often() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let service = Service::trusting(&issuer, &[]);
    assert_eq!(service.get_with(&token(&pair, &claims(&issuer))).await.status, 200);
    let ((before, _), started) = (issuer.questions(), Instant::now());
    issuer.hangs();
    let asked = || issuer.questions().0 - before;
    let (mut sent, mut sent_since) = (0, 0);
    // Some pass until it may be asked at all, and some after that.
    while sent_since < 20 {
        assert!(started.elapsed() < Duration::from_secs(60), "it was never asked");
        let pair = Pair { kid: format!("invented-{sent}"), ..pair.clone() };
        let token = token(&pair, &claims(&issuer));
        let _ = tokio::time::timeout(Duration::from_millis(100), service.get_with(&token)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        sent += 1;
        sent_since += u32::from(asked() > 0);
    }
    let asked_in_time = 1 + started.elapsed().as_secs() / 5;
    assert!(u64::from(asked()) <= asked_in_time, "{} in {:?}", asked(), started.elapsed());
}

#[tokio::test]
async fn a_new_key_without_a_name_is_learnt_when_its_first_token_comes() {
    let nameless = |pair: &Pair| {
        let mut key = pair.public();
        key.as_object_mut().unwrap().remove("kid");
        json!({"keys": [key]})
    };
    // Of the same kind, and of another.
    for (old, new) in [(Pair::ec(""), Pair::ec("")), (Pair::ec(""), Pair::ed(""))] {
        let issuer = Issuer::with(&[]).await;
        issuer.tells_set(nameless(&old));
        let service = Service::trusting(&issuer, &[]);
        let signed = |pair: &Pair| {
            let header = Header { kid: None, ..header(pair) };
            encode(&header, &claims(&issuer), &pair.private).unwrap()
        };
        assert_eq!(service.get_with(&signed(&old)).await.status, 200);
        issuer.tells_set(nameless(&new));
        eventually(&service, &signed(&new), 200).await;
        assert_eq!(service.get_with(&signed(&old)).await.status, 401);
    }
}

#[tokio::test]
async fn an_issuer_that_describes_another_or_has_no_usable_key_lets_nobody_in() {
    let pair = Pair::ec("1");
    let shared = json!({"kty": "oct", "kid": "1", "alg": "HS256", "k": "c2VjcmV0"});
    let for_encryption = {
        let mut key = pair.public();
        key["use"] = json!("enc");
        key
    };
    for set in [json!({"keys": [shared]}), json!({"keys": [for_encryption]}), json!({"keys": []}), json!([])]
    {
        let issuer = Issuer::with(&[&pair]).await;
        issuer.tells_set(set.clone());
        let answer = Service::trusting(&issuer, &[]).get_with(&token(&pair, &claims(&issuer))).await;
        assert_eq!(answer.problem(), "token-unverifiable", "{set}");
    }
    for (name, value) in [("issuer", "http://127.0.0.1:1"), ("jwks_uri", "http://192.0.2.1/jwks")] {
        let issuer = Issuer::with(&[&pair]).await;
        let mut description = json!({"issuer": issuer.url, "jwks_uri": format!("{}/jwks", issuer.url)});
        description[name] = json!(value);
        issuer.describes_itself_as(description);
        let answer = Service::trusting(&issuer, &[]).get_with(&token(&pair, &claims(&issuer))).await;
        assert_eq!(answer.problem(), "token-unverifiable", "{name}");
    }
}

#[tokio::test]
async fn a_key_of_an_unknown_kind_does_not_hide_the_others() {
    let pair = Pair::ec("1");
    let issuer = Issuer::with(&[&pair]).await;
    let strange = json!({"kty": "lattice", "kid": "2", "alg": "ML-DSA-44", "pub": "AAAA"});
    issuer.tells_set(json!({"keys": [strange, {"kid": 7}, pair.public()]}));
    let answer = Service::trusting(&issuer, &[]).get_with(&token(&pair, &claims(&issuer))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
