//! What changes while a librarian looks at the page, in a real browser.
#![cfg(test)]

use e2e::{Browser, Place, System, connect};
use rustix::process::Signal;
use serde_json::json;
use std::sync::Arc;

async fn library(books: u64) -> (System, Browser) {
    let system = System::start().await;
    for book in 1..=books {
        system.gateway().book(&format!("/books/{book}/warehousings"), &json!({"qty": 30})).await;
    }
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", &format!("{books} books")).await;
    browser.sees("[data-status]", "Live").await;
    (system, browser)
}

#[tokio::test]
async fn what_others_do_is_seen_at_once_and_pulses() {
    let (system, browser) = library(3).await;
    let remember = "window.pulsed = []; new MutationObserver((changes) => changes.forEach(({ target }) => target.classList.contains('pulse') && pulsed.push(target.dataset.book))).observe(document.querySelector('.space'), { attributes: true, subtree: true, attributeFilter: ['class'] });";
    browser.run(remember, vec![]).await;
    system.gateway().book("/books/2/warehousings", &json!({"qty": 7})).await;
    browser.sees(".row[data-book=\"2\"] .stock", "37").await;
    browser.holds("pulsed.includes('2') && !pulsed.includes('1')").await;
    // A new book is counted, and comes into the list.
    system.gateway().book("/books/4/warehousings", &json!({"qty": 5, "name": "Momo"})).await;
    browser.sees(".row", "Momo").await;
    browser.sees(".foot", "4 books").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn where_motion_is_not_wanted_nothing_moves() {
    let (system, browser) = library(2).await;
    browser.prefers(&[("prefers-reduced-motion", "reduce")]).await;
    system.gateway().book("/books/2/warehousings", &json!({"qty": 7})).await;
    browser.sees(".row[data-book=\"2\"] .stock", "37").await;
    browser.holds("document.getAnimations().every((each) => each.effect.getTiming().duration < 1)").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn in_an_order_of_stock_rows_stay_where_they_are_until_the_librarian_sorts_again() {
    let (system, browser) = library(3).await;
    browser.click("[data-field=stock] button").await;
    system.gateway().book("/books/1/warehousings", &json!({"qty": 50})).await;
    browser.sees(".row[data-book=\"1\"] .stock", "80").await;
    let last = "[...document.querySelectorAll('.row:not([hidden])')].at(-1).dataset.book";
    browser.holds(&format!("{last} === '3'")).await;
    browser.sees(".foot", "The order has changed").await;
    browser.click(".foot .button").await;
    browser.holds(&format!("{last} === '1'")).await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_filtered_list_gains_and_loses_what_others_change_and_the_mark_stays_on_its_book() {
    let (system, browser) = library(3).await;
    let gateway = system.gateway();
    gateway.book("/books/3/corrections", &json!({"qtyDelta": -23, "reason": "lost"})).await;
    browser.click("[aria-pressed=false].toggle").await;
    browser.sees(".foot", "1 book found").await;
    browser.run("document.querySelector('.rows').focus();", vec![]).await;
    // A book that was not in it gets low, and comes above the one that is marked.
    gateway.book("/books/1/corrections", &json!({"qtyDelta": -25, "reason": "lost"})).await;
    browser.lists("1,3").await;
    browser.sees(".foot", "2 books found").await;
    browser.holds("document.querySelector('.row.here').dataset.book === '3'").await;
    browser.holds("document.activeElement.classList.contains('rows')").await;
    // One that was in it gets more.
    gateway.book("/books/1/warehousings", &json!({"qty": 500})).await;
    browser.lists("3").await;
    browser.sees(".foot", "1 book found").await;
    browser.holds("document.querySelector('.row.here').dataset.book === '3'").await;
    // In an order of stock, too.
    browser.click("[data-field=stock] button").await;
    gateway.book("/books/2/corrections", &json!({"qtyDelta": -29, "reason": "lost"})).await;
    browser.lists("2,3").await;
    browser.sees(".foot", "2 books found").await;
    browser.click("[aria-pressed=true].toggle").await;
    browser.sees(".foot", "3 books").await;
    // What is found by its title, when its title changes.
    browser.fill("[type=search]", "momo").await;
    browser.sees(".nothing", "No title contains").await;
    gateway.book("/books/2/warehousings", &json!({"qty": 1, "name": "Momo"})).await;
    browser.lists("2").await;
    browser.sees(".foot", "1 book found").await;
    gateway.book("/books/2/warehousings", &json!({"qty": 1, "name": "The Trial"})).await;
    browser.sees(".nothing", "No title contains").await;
    browser.has_no_faults().await;
}

/// Holds back what the server tells of changes while `holdBack` is true.
const HOLD_BACK: &str = "window.holdBack = true;
    const send = window.fetch;
    window.fetch = async (...request) => {
        const answer = await send(...request);
        if (request[0] !== '/books/changes') return answer;
        const waiting = async () => { while (window.holdBack) await new Promise((resolve) => setTimeout(resolve, 20)); };
        const held = new TransformStream({ transform: async (chunk, control) => { await waiting(); control.enqueue(chunk); } });
        return new Response(answer.body.pipeThrough(held), { headers: answer.headers });
    };";

#[tokio::test]
async fn a_new_book_comes_into_the_list_of_who_warehoused_it_also_before_anybody_tells_of_it() {
    let system = System::start().await;
    system.gateway().book("/books/1/warehousings", &json!({"qty": 30})).await;
    let browser = Browser::start(&system.place, "en").await;
    browser.first_runs(HOLD_BACK).await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "1 book").await;
    browser.sees("[data-status]", "Live").await;
    browser.click("[data-new]").await;
    browser.fill("[name=bookId]", "2").await;
    browser.fill("[name=qty]", "12").await;
    browser.press_key(thirtyfour::Key::Enter).await;
    browser.sees(".row[data-book=\"2\"]:not(.pending) .stock", "12").await;
    browser.sees(".foot", "2 books").await;
    browser.run("window.holdBack = false;", vec![]).await;
    system.gateway().book("/books/3/warehousings", &json!({"qty": 5})).await;
    browser.sees(".foot", "3 books").await;
    browser.has_no_faults().await;
}

/// Keeps each stream of changes that the page opens, and has it hidden as a tab behind another one is while `isBehind` is true.
const BEHIND: &str = "window.isBehind = false;
    window.streams = [];
    Object.defineProperty(document, 'hidden', { get: () => window.isBehind });
    const send = window.fetch;
    window.fetch = (...request) => {
        if (request[0] === '/books/changes') streams.push(request[1]);
        return send(...request);
    };
    window.goBehind = (isBehind) => {
        window.isBehind = isBehind;
        document.dispatchEvent(new Event('visibilitychange'));
    };";

#[tokio::test]
async fn a_hidden_page_holds_no_connection_and_sees_what_it_missed_when_it_is_shown_again() {
    let system = System::start().await;
    let gateway = system.gateway();
    gateway.book("/books/1/warehousings", &json!({"qty": 30})).await;
    let browser = Browser::start(&system.place, "en").await;
    browser.first_runs(BEHIND).await;
    browser.open(&gateway, "").await;
    browser.sees("[data-status]", "Live").await;
    // A glance at another tab ends nothing.
    browser.run("goBehind(true); goBehind(false);", vec![]).await;
    gateway.book("/books/1/warehousings", &json!({"qty": 1})).await;
    browser.sees(".row[data-book=\"1\"] .stock", "31").await;
    browser.holds("!streams.at(-1).signal.aborted").await;
    browser.run("goBehind(true);", vec![]).await;
    browser.holds("streams.every(({ signal }) => signal.aborted)").await;
    gateway.book("/books/1/warehousings", &json!({"qty": 7})).await;
    gateway.book("/books/2/warehousings", &json!({"qty": 5})).await;
    browser.run("goBehind(false);", vec![]).await;
    browser.sees(".row[data-book=\"1\"] .stock", "38").await;
    browser.sees(".foot", "2 books").await;
    browser.holds("!streams.at(-1).signal.aborted").await;
    browser.sees("[data-status]", "Live").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn rows_that_were_made_anew_are_taken_whatever_their_revisions_are() {
    let (_system, browser) = library(2).await;
    let after = |anew: &str| {
        format!(
            "import('/web/books.js').then((books) => {{
                const row = {{ bookId: 9, name: null, stock: 5, version: 1, revision: 5 }};
                books.learn([row]);
                {anew}
                books.learn([{{ ...row, stock: 2, revision: 2 }}]);
                return books.book(9).stock;
            }})"
        )
    };
    assert_eq!(browser.value(&after(""), vec![]).await, 5, "an older row is no news");
    assert_eq!(browser.value(&after("books.madeAnew();"), vec![]).await, 2);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn after_the_server_was_away_what_changed_meanwhile_is_seen() {
    let (mut system, browser) = library(2).await;
    system.stop(Signal::TERM).await;
    browser.sees("[data-status]", "No connection").await;
    system.start_again().await;
    system.gateway().book("/books/1/warehousings", &json!({"qty": 12})).await;
    browser.sees(".row[data-book=\"1\"] .stock", "42").await;
    browser.sees("[data-status]", "Live").await;
}

#[tokio::test]
async fn the_status_corner_tells_what_works_and_how_fresh_the_page_is() {
    let (_system, browser) = library(2).await;
    browser.click("[data-status]").await;
    browser.sees(".status", "Booking (command-api)").await;
    for service in ["command-api", "query-api", "projector"] {
        browser.sees(&format!(".status [data-service=\"{service}\"][data-up=true]"), "works").await;
    }
    browser.sees(".status", "up to date").await;
    browser.picture("status").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn how_far_the_list_is_behind_is_told_in_words_until_it_has_caught_up() {
    let system = System::start_with(Arc::new(Place::new()), &[("BATCH_EVENTS", "1")]).await;
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.sees("[data-status]", "Live").await;
    // A database that takes its time for each event, so that the projector cannot keep up.
    let owner = connect(system.address("database")).await.unwrap();
    let slow = "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
        CREATE TRIGGER slow AFTER INSERT ON rm_1.book_history FOR EACH STATEMENT EXECUTE FUNCTION public.slow();";
    owner.batch_execute(slow).await.unwrap();
    let rows: String = (1..=200).map(|book| format!("{{\"bookId\":{book},\"qty\":5}}\n")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let sent = system.gateway().send(reqwest::Method::POST, "/warehousings", &headers, rows).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    browser.sees("[data-status]", "sec behind").await;
    browser.sees(".notice", "seconds behind. What is booked now appears in it later.").await;
    browser.click("[data-status]").await;
    browser
        .holds(
            "/\\d+ seconds behind, at least \\d+ events?/.test(document.querySelector('.status').innerText)",
        )
        .await;
    browser.picture("behind").await;
    browser.press_key(thirtyfour::Key::Escape).await;
    browser.click("[data-language-switch]").await;
    browser
        .holds("/목록 반영이 \\d+초 늦어지고 있습니다/.test(document.querySelector('.notice').innerText)")
        .await;
    browser.sees("[data-status]", "초 지연").await;
    owner.batch_execute("DROP TRIGGER slow ON rm_1.book_history").await.unwrap();
    browser.sees(".foot", "도서 200종").await;
    browser.misses(".notice").await;
    browser.sees("[data-status]", "실시간").await;
    browser.has_no_faults().await;
}
