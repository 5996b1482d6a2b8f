//! Who works with the librarian's page, in a real browser and with a real OpenID Connect provider: code flow with PKCE.
#![cfg(test)]

use e2e::{Browser, Identity, Place, System, eventually};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;

/// A system that asks for tokens, with book 1 in it, and a browser in which nobody has logged in.
async fn guarded() -> (System, Identity, Browser) {
    let place = Arc::new(Place::new());
    let identity = Identity::start(&place).await;
    let system = System::start_with(place, &[("AUTH_ISSUER", identity.issuer())]).await;
    let token = format!("Bearer {}", identity.token("librarian", "books:read books:write").await);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", token.as_str()),
        ("idempotency-key", "first"),
    ];
    let body = json!({"qty": 30, "name": "Momo"}).to_string();
    eventually("the book is there", async || {
        let site = system.gateway();
        site.send(Method::POST, "/books/1/warehousings", &headers, body.clone()).await.wanted(201)
    })
    .await;
    let browser = Browser::start(&system.place, "en").await;
    (system, identity, browser)
}

/// Logs somebody in where the provider asks who it is, and allows the page what it asks for.
async fn log_in(browser: &Browser) {
    browser.fill("[name=login]", "sua").await;
    browser.fill("[name=password]", "any").await;
    browser.click("[type=submit]").await;
    browser.sees("li", "books:write").await;
    browser.click("[type=submit]").await;
}

#[tokio::test]
async fn who_opens_the_page_logs_in_first_and_then_works_under_that_name() {
    let (system, identity, browser) = guarded().await;
    browser.open(&system.gateway(), "#/books/1").await;
    log_in(&browser).await;
    // Back where one wanted to go, and nothing of the login is left in the address.
    browser.sees("h1", "Momo").await;
    browser.holds("location.hash === '#/books/1' && location.search === ''").await;
    browser.sees("[data-status]", "Live").await;
    browser.click("[data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".toast", "5 in, 35 in stock").await;
    browser.sees(".copies:not(.pending)", "35").await;
    // A reload keeps the login; it is in this tab and in no cookie.
    browser.reload().await;
    browser.sees(".copies", "35").await;
    browser.holds("document.cookie === '' && !JSON.stringify(localStorage).includes('token')").await;
    browser.has_no_faults().await;
    browser.click("[data-log-out]").await;
    browser.sees("h1", "Do you want to sign-out").await;
    browser.click("[name=logout]").await;
    // Nobody is logged in, neither here nor at the provider.
    browser.sees("h1", "Sign-in").await;
    browser.holds(&format!("location.origin === '{}'", identity.issuer())).await;
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_renewed_while_a_form_is_filled_in() {
    let (system, _identity, browser) = guarded().await;
    browser.open(&system.gateway(), "").await;
    log_in(&browser).await;
    browser.sees(".row", "Momo").await;
    // The page comes back an hour later, with the token that it had.
    let spoil = "const grant = JSON.parse(sessionStorage.getItem('bookstock.grant'));
        window.spoilt = grant.token;
        sessionStorage.setItem('bookstock.grant', JSON.stringify({ ...grant, token: 'spoilt', since: 0 }));";
    browser.run(spoil, vec![]).await;
    browser.reload().await;
    browser.sees(".row", "Momo").await;
    browser.holds("JSON.parse(sessionStorage.getItem('bookstock.grant')).token !== 'spoilt'").await;
    browser.sees("[data-status]", "Live").await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_login_that_is_cancelled_or_forged_shows_no_book() {
    let (system, _identity, browser) = guarded().await;
    browser.open(&system.gateway(), "").await;
    browser.sees("h1", "Sign-in").await;
    browser.click(".login-help a").await;
    browser.sees("[role=alert]", "You cannot be logged in right now").await;
    browser.sees("[role=alert]", "End-User aborted interaction").await;
    browser.picture("login-cancelled").await;
    browser.misses(".row").await;
    browser.has_no_faults().await;
    // Somebody else's answer is not taken; the page asks by itself who is there.
    browser.open(&system.gateway(), "?code=stolen&state=guessed").await;
    browser.sees("h1", "Sign-in").await;
}

#[tokio::test]
async fn while_the_provider_is_away_the_page_says_so() {
    let place = Arc::new(Place::new());
    let identity = Identity::start(&place).await;
    let system = System::start_with(place, &[("AUTH_ISSUER", identity.issuer())]).await;
    let browser = Browser::start(&system.place, "ko").await;
    drop(identity);
    browser.open(&system.gateway(), "").await;
    browser.sees("[role=alert]", "지금은 로그인할 수 없습니다").await;
    browser.picture("login-away").await;
    browser.has_no_faults().await;
}
