//! The librarian's page while parts of the system are away: it never goes blank, and says what is missing.
#![cfg(test)]

use e2e::{Browser, System};
use rustix::process::Signal;
use serde_json::json;

async fn library() -> (System, Browser) {
    let system = System::start().await;
    for (book, name) in [(1, "Momo"), (2, "The Trial"), (3, "토지")] {
        system
            .gateway()
            .book(&format!("/books/{book}/warehousings"), &json!({"qty": 30, "name": name}))
            .await;
    }
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "3 books").await;
    (system, browser)
}

#[tokio::test]
async fn without_the_server_the_last_rows_stay_and_it_comes_back_by_itself() {
    let (mut system, browser) = library().await;
    system.stop(Signal::TERM).await;
    browser.sees(".notice", "cannot be reached").await;
    browser.sees(".row", "Momo").await;
    browser.picture("server-away").await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.click("dialog [type=submit]").await;
    browser.sees("dialog", "It is not known whether this was booked").await;
    system.start_again().await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.misses(".notice").await;
    assert_eq!(system.gateway().get("/libraries/1").await.json(200)["stock"], 35);
}

#[tokio::test]
async fn a_list_that_could_not_be_shown_at_first_comes_by_itself() {
    let system = System::start().await;
    let browser = Browser::start(&system.place, "en").await;
    // What a gateway says while nobody is behind it.
    let nobody = "window.isOut = true;
        const send = window.fetch;
        window.fetch = async (...request) => window.isOut && String(request[0]).startsWith('/books')
            ? new Response('', { status: 503, headers: { 'Retry-After': '1' } }) : send(...request);";
    browser.first_runs(nobody).await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".nothing", "The books cannot be shown right now").await;
    browser.run("window.isOut = false;", vec![]).await;
    browser.sees(".nothing", "No books yet").await;
    // And an empty list has its first book when somebody else brings it.
    system.gateway().book("/books/1/warehousings", &json!({"qty": 30, "name": "Momo"})).await;
    browser.sees(".row", "Momo").await;
    browser.sees(".foot", "1 book").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn without_the_database_the_list_is_served_from_memory_and_says_so_while_booking_goes_on() {
    let (system, browser) = library().await;
    system.freeze_postgres().await;
    browser.sees(".notice", "The database is away. You see the stock as of").await;
    browser.sees("[data-status]", "As of").await;
    browser.click("[data-status]").await;
    browser.sees(".status", "Updates").await;
    browser.holds("document.querySelector('.status dd').innerText !== 'Live'").await;
    browser.sees(".row", "Momo").await;
    // A look that is new, not one that was there before.
    browser.reload().await;
    browser.sees(".row", "Momo").await;
    browser.picture("database-away").await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".toast", "5 in, 35 in stock").await;
    browser.sees(".row.pending.booked .stock", "35").await;
    system.thaw_postgres();
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.misses(".notice").await;
    browser.has_no_faults().await;
}
