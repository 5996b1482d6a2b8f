//! Warehousing, renewal and correction on the librarian's page, in a real browser.
#![cfg(test)]

use e2e::{Answer, Browser, Site, System};
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

/// What a refusal says to people.
fn detail(refused: &Answer) -> String {
    let document: serde_json::Value = serde_json::from_str(&refused.text).unwrap();
    document["detail"].as_str().unwrap().to_owned()
}

/// That the open form says what becomes of the stock, such as `30 → 37`.
fn previews(stocks: &str) -> String {
    format!(
        "document.querySelector('dialog .outcome').innerText.replace(/\\s+/g, ' ') === 'In stock {stocks}'"
    )
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
async fn a_form_goes_by_the_stock_as_it_is_when_it_is_sent() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=correct]").await;
    browser.fill("[name=qtyDelta]", "-40").await;
    browser.fill("[name=reason]", "lost").await;
    browser.holds(&previews("30 → …")).await;
    // Copies come in while the form is open.
    system.gateway().book("/books/1/warehousings", &json!({"qty": 50})).await;
    browser.holds(&previews("80 → 40")).await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row:not(.pending) .stock", "40").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 40);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn whose_number_is_typed_is_asked_for_before_its_stock_is_told() {
    let (system, browser) = thirty_copies().await;
    // A book that this page has not seen: the list shows one title alone.
    system.gateway().book("/books/2/warehousings", &json!({"qty": 12, "name": "The Trial"})).await;
    browser.open(&system.gateway(), "#/?q=momo").await;
    browser.reload().await;
    browser.sees(".foot", "1 book found").await;
    browser.click("[data-new]").await;
    browser.misses("dialog .outcome").await;
    let seen = "window.outcomes = []; new MutationObserver(() => outcomes.push(document.querySelector('dialog .outcome').innerText)).observe(document.querySelector('dialog .outcome'), { childList: true });";
    browser.run(seen, vec![]).await;
    browser.fill("[name=qty]", "5").await;
    browser.fill("[name=bookId]", "2").await;
    browser.holds(&previews("12 → 17")).await;
    browser.holds("document.querySelector('[name=name]').placeholder === 'The Trial'").await;
    browser.fill("[name=bookId]", "3").await;
    browser.holds(&previews("0 → 5")).await;
    browser.holds("document.querySelector('[name=name]').placeholder === ''").await;
    // Until the answer came, nothing was made up.
    browser.holds("!outcomes.slice(0, outcomes.findIndex((each) => each.includes('17'))).some((each) => /\\b[05]\\b/.test(each))").await;
    browser.picture("warehouse-new").await;
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
    browser.sees("dialog", &detail(&refused)).await;
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
    // Sent again while the store is away, it is not booked by that; the first one may be all the same.
    let away = "const send = window.fetch;
        window.fetch = async (...request) => {
            if (request[1]?.method !== 'POST') return send(...request);
            window.fetch = send;
            return new Response('{\"type\":\"urn:bookstock:problem:event-store-unavailable\",\"title\":\"Away\"}', { status: 503 });
        };";
    browser.run(away, vec![]).await;
    browser.click("dialog [type=submit]").await;
    browser.sees("dialog [type=submit]:enabled", "Send again").await;
    browser.sees("dialog", "It is not known whether this was booked").await;
    browser.holds("document.querySelector('[name=qty]').readOnly").await;
    browser.click("dialog [type=submit]").await;
    browser.misses("dialog").await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 35);
    // Copies that are gone already are not missing when their correction is sent again.
    browser.click(".row .acts [data-act=correct]").await;
    browser.fill("[name=qtyDelta]", "-20").await;
    browser.fill("[name=reason]", "lost").await;
    browser.run(lose_one, vec![]).await;
    browser.press_key(Key::Enter).await;
    browser.sees("dialog", "It is not known whether this was booked").await;
    browser.sees(".row:not(.pending) .stock", "15").await;
    browser.holds(&previews("35 → 15")).await;
    browser.click("dialog [type=submit]").await;
    browser.misses("dialog").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 15);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_was_sent_is_shown_before_its_answer_and_is_a_fact_or_undone_after_it() {
    let (system, browser) = thirty_copies().await;
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    // Neither the answer comes, nor the fact.
    system.freeze_postgres().await;
    system.freeze_launcher().await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row.pending:not(.booked) .stock", "35").await;
    browser.sees("dialog [type=submit][disabled]", "Booking…").await;
    browser.picture("on-its-way").await;
    // The answer comes. It tells the position at which this is going to be a fact.
    system.thaw_launcher();
    browser.sees(".toast", "5 in, 35 in stock").await;
    browser.sees(".row.pending.booked .stock", "35").await;
    system.thaw_postgres();
    browser.sees(".row:not(.pending) .stock", "35").await;
    let history = system.gateway().get("/books/1/history?order=desc").await.json(200);
    let position = history["_embedded"]["movements"][0]["position"].as_str().unwrap();
    browser
        .holds(&format!("performance.getEntriesByType('resource').some(({{ name }}) => name.includes('/books/1?minPosition={position}&'))"))
        .await;
    // What is refused was never so.
    browser.click(".row .acts [data-act=renew]").await;
    browser.fill("[name=version]", "0.5").await;
    system.freeze_launcher().await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row.pending:not(.booked) .stock", "100").await;
    browser.sees(".row.pending", "ed. 0.5").await;
    // The form waits for the answer, also with who wants to be rid of it.
    for _ in 0..3 {
        browser.press_key(Key::Escape).await;
    }
    browser.sees("dialog[open] [type=submit][disabled]", "Booking…").await;
    system.thaw_launcher();
    let refused = system.gateway().post("/books/1/renewals", &json!({"version": "0.5"})).await;
    browser.sees("dialog", &detail(&refused)).await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.sees(".row:not(.pending)", "ed. 1.0").await;
    browser.has_no_faults().await;
}

/// A field, what somebody may put in, and what is told then.
type Entry = (&'static str, &'static str, &'static str);

/// For each form: what opens it, and entries that it does not take.
const NOT_BOOKED: [(&str, &[Entry]); 4] = [
    (
        ".row [data-act=warehouse]",
        &[
            ("qty", "", "This is needed."),
            ("qty", "0", "A whole number from 1 to 1,000,000."),
            ("qty", "-1", "A whole number from 1 to 1,000,000."),
            ("qty", "1.5", "A whole number from 1 to 1,000,000."),
            ("qty", "seven", "A whole number from 1 to 1,000,000."),
            ("qty", "1000001", "A whole number from 1 to 1,000,000."),
        ],
    ),
    (
        "[data-new]",
        &[
            ("bookId", "", "This is needed."),
            ("bookId", "0", "A whole number from 1 to 9,007,199,254,740,991."),
            ("bookId", "x", "A whole number from 1 to 9,007,199,254,740,991."),
            ("bookId", "9007199254740992", "A whole number from 1 to 9,007,199,254,740,991."),
        ],
    ),
    (
        ".row [data-act=renew]",
        &[
            ("version", "-1", "A number with at most two places"),
            ("version", "two", "A number with at most two places"),
            ("version", "1.234", "A number with at most two places"),
            ("version", "99999999999", "A number with at most two places"),
        ],
    ),
    (
        ".row [data-act=correct]",
        &[
            ("qtyDelta", "", "This is needed."),
            ("qtyDelta", "0", "A whole number, not zero."),
            ("qtyDelta", "1.5", "A whole number, not zero."),
            ("qtyDelta", "few", "A whole number, not zero."),
            ("qtyDelta", "1000000001", "A whole number from -1,000,000,000 to 1,000,000,000."),
            ("qtyDelta", "-31", "That would leave -1 copies; there are 30."),
            ("reason", "", "This is needed."),
            ("reason", "   ", "This is needed."),
        ],
    ),
];

#[tokio::test]
async fn what_cannot_be_booked_is_told_at_its_field_and_where_the_server_knows_better_in_its_words() {
    let (system, browser) = thirty_copies().await;
    for (form, cases) in NOT_BOOKED {
        browser.click(form).await;
        for (field, typed, told) in cases {
            browser.fill(&format!("[name={field}]"), typed).await;
            browser.press_key(Key::Enter).await;
            browser.sees(&format!("#field-{field}-wrong"), told).await;
            browser.holds(&format!("document.querySelector('[name={field}]').ariaInvalid === 'true'")).await;
        }
        browser.press_key(Key::Escape).await;
        browser.misses("dialog").await;
    }
    let sent = "performance.getEntriesByType('resource').filter(({ name }) => /s$/.test(new URL(name).pathname) && name.includes('/books/1/')).length";
    browser.holds(&format!("{sent} === 0")).await;
    // A field takes no more than a reason may have; what is too long all the same is refused by the server.
    browser.click(".row [data-act=correct]").await;
    browser.fill("[name=qtyDelta]", "-25").await;
    browser.fill("[name=reason]", &"a".repeat(501)).await;
    browser.holds("document.querySelector('[name=reason]').value.length === 500").await;
    browser.run("document.querySelector('[name=reason]').value = 'a'.repeat(501);", vec![]).await;
    browser.press_key(Key::Enter).await;
    let too_long = json!({"qtyDelta": -25, "reason": "a".repeat(501)});
    let refused = system.gateway().post("/books/1/corrections", &too_long).await;
    browser.sees("#field-reason-wrong", &detail(&refused)).await;
    browser.holds("document.querySelector('[name=reason]').ariaInvalid === 'true'").await;
    // Somebody else takes copies away, and this page cannot know it yet.
    browser.fill("[name=reason]", "lost").await;
    system.freeze_postgres().await;
    let others = json!({"qtyDelta": -20, "reason": "damaged"});
    system.gateway().book("/books/1/corrections", &others).await;
    browser.press_key(Key::Enter).await;
    let refused =
        system.gateway().post("/books/1/corrections", &json!({"qtyDelta": -25, "reason": "lost"})).await;
    browser.sees("dialog", &detail(&refused)).await;
    browser.holds("document.querySelector('[name=qtyDelta]').value === '-25'").await;
    browser.picture("correction-refused-by-the-server").await;
    system.thaw_postgres();
    browser.sees(".row:not(.pending) .stock", "10").await;
    assert_eq!(stock_in_the_store(&system.gateway()).await, 10);
    browser.has_no_faults().await;
}
