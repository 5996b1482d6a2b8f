//! Warehousing, renewal and correction on the librarian's page, in a real browser.
#![cfg(test)]

use e2e::{Browser, Site, System};
use serde_json::json;
use thirtyfour::Key;

/// A system with thirty copies of book 1, and a browser that shows the list.
async fn thirty_copies() -> (System, Browser) {
    let system = System::start().await;
    let gateway = system.gateway();
    gateway.book("/books/1/warehousings", &json!({"qty": 30, "name": "Momo"})).await;
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&gateway, "").await;
    browser.sees(".row", "Momo").await;
    (system, browser)
}

async fn stock_in_the_store(gateway: &Site) -> u64 {
    gateway.get("/libraries/1").await.json(200)["stock"].as_u64().unwrap()
}

#[tokio::test]
async fn warehousing_shows_the_new_stock_and_the_store_has_it() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "7").await;
    browser.sees("dialog .outcome", "37").await;
    browser.picture("warehouse").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".toast", "7 in, 37 in stock").await;
    browser.misses("dialog").await;
    browser.sees(".row:not(.pending) .stock", "37").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 37);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_new_book_is_warehoused_by_its_number_and_title() {
    let (system, browser) = thirty_copies().await;
    browser.click("[data-new]").await;
    browser.fill("[name=bookId]", "2").await;
    browser.fill("[name=qty]", "12").await;
    browser.fill("[name=name]", "모모").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row", "모모").await;
    browser.sees(".foot", "2 books").await;
    assert_eq!(system.gateway().get("/libraries/2").await.json(200)["stock"], 12);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_renewal_says_what_becomes_of_the_stock_before_it_does_it() {
    let (_system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=renew]").await;
    browser.sees("dialog .outcome", "100").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".toast", "edition 2.0, 100 in stock").await;
    browser.sees(".row:not(.pending)", "ed. 2.0").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_correction_needs_a_reason_and_takes_the_stock_down() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=correct]").await;
    browser.fill("[name=qtyDelta]", "-31").await;
    browser.press_key(Key::Enter).await;
    browser.sees("#field-qtyDelta-wrong", "-1 copies; there are 30").await;
    browser.sees("#field-reason-wrong", "needed").await;
    browser.holds("document.activeElement.name === 'qtyDelta'").await;
    browser.picture("correction-refused-here").await;
    browser.fill("[name=qtyDelta]", "-3").await;
    browser.click("dialog .chips .button").await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".row:not(.pending) .stock", "27").await;
    let history = system.gateway().get("/libraries/1").await.json(200);
    assert_eq!(history["stock"], 27);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_servers_own_words_are_shown_where_they_belong_and_nothing_is_lost() {
    let (system, browser) = thirty_copies().await;
    // Somebody else renews meanwhile, so what this librarian asks for is refused.
    browser.click(".row .acts [data-act=renew]").await;
    browser.fill("[name=version]", "2").await;
    system.gateway().book("/books/1/renewals", &json!({"version": 5})).await;
    browser.press_key(Key::Enter).await;
    let refused = system.gateway().post("/books/1/renewals", &json!({"version": 2})).await;
    let document: serde_json::Value = serde_json::from_str(&refused.text).unwrap();
    browser.sees("dialog", document["detail"].as_str().unwrap()).await;
    browser.picture("renewal-refused-by-the-server").await;
    browser.holds("document.querySelector('[name=version]').value === '2'").await;
    browser.fill("[name=version]", "6").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row:not(.pending)", "ed. 6.0").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_double_click_books_once() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    let twice = "const button = document.querySelector('dialog [type=submit]'); button.click(); button.click(); button.form.requestSubmit();";
    browser.run(twice, vec![]).await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 35);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn when_the_answer_is_lost_sending_again_books_once() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    // The command arrives; the cable is pulled before its answer does.
    let lose_one = "const send = window.fetch;
        window.fetch = async (...request) => {
            const answer = await send(...request);
            if (request[1]?.method !== 'POST') return answer;
            window.fetch = send;
            throw new TypeError('lost');
        };";
    browser.run(lose_one, vec![]).await;
    browser.press_key(Key::Enter).await;
    browser.sees("dialog", "It is not known whether this was booked").await;
    browser.picture("outcome-unknown").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 35);
    browser.holds("document.querySelector('[name=qty]').readOnly").await;
    browser.click("dialog [type=submit]").await;
    browser.misses("dialog").await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 35);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_was_sent_is_shown_at_once_and_becomes_a_fact_at_its_position() {
    let (_system, browser) = thirty_copies().await;
    // However soon the fact comes, the row is pending before.
    let watch = "window.pending = [];
        new MutationObserver(() => { for (const stock of document.querySelectorAll('.row.pending .stock')) pending.push(stock.innerText); })
            .observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });";
    browser.run(watch, vec![]).await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.holds("pending.some((stock) => stock.includes('35'))").await;
    browser.has_no_faults().await;
}
