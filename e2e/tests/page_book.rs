//! A book on the librarian's page, in a real browser: its history, why its stock is what it is, and what it was.
#![cfg(test)]

use e2e::{Browser, System, eventually};
use serde_json::json;
use thirtyfour::Key;

/// A system in which book 1 came in, was renewed, corrected and came in again, and book 2 came in once. The views show it.
async fn library() -> System {
    let system = System::start().await;
    let gateway = system.gateway();
    let mut booked = json!(null);
    for (path, body) in [
        ("/books/1/warehousings", json!({"qty": 30, "name": "해리 포터"})),
        ("/books/1/warehousings", json!({"qty": 12})),
        ("/books/2/warehousings", json!({"qty": 7, "name": "Momo"})),
        ("/books/1/renewals", json!({})),
        ("/books/1/corrections", json!({"qtyDelta": -3, "reason": "water damage"})),
        ("/books/1/warehousings", json!({"qty": 25})),
    ] {
        booked = gateway.book(path, &body).await;
    }
    let seen = format!("/books/1?minPosition={}&wait=10000", booked["position"].as_str().unwrap());
    gateway.get(&seen).await.json(200);
    system
}

async fn book_page(language: &str, view: &str) -> (System, Browser) {
    let system = library().await;
    let browser = Browser::start(&system.place, language).await;
    browser.open(&system.gateway(), view).await;
    browser.sees(".history", "30").await;
    (system, browser)
}

#[tokio::test]
async fn a_history_is_a_curve_and_a_table_whose_rows_open_to_the_whole_event() {
    let (system, browser) = book_page("en", "#/books/1").await;
    let kinds = "[...document.querySelectorAll('.history tbody tr')].map((row) => [...row.querySelectorAll('td')].slice(1, 5).map((cell) => cell.innerText.trim()).join(' ')).join('; ')";
    browser
        .holds(&format!(
            "{kinds} === 'Warehoused +25 122 ; Corrected -3 97 Reason: water damage; Renewed ed. 2.0 → 100 100 ; Warehoused +12 42 ; Warehoused +30 30 Title: 해리 포터'"
        ))
        .await;
    browser.click("[data-revision=\"3\"] .more").await;
    browser.sees(".event", "water damage").await;
    let history = system.gateway().get("/books/1/history?order=desc").await.json(200);
    let movement = &history["_embedded"]["movements"][1];
    browser.sees(".event", movement["correlationId"].as_str().unwrap()).await;
    browser.sees(".event", movement["occurredAt"].as_str().unwrap()).await;
    browser.run("document.querySelector('.view').scrollTop = 0;", vec![]).await;
    browser.picture("book").await;
    assert_eq!(the_curve_is_the_history(&system, &browser).await, [30, 42, 100, 97, 122]);
    browser
        .holds("/^Stock from .+ to .+, between 30 and 122 copies$/.test(document.querySelector('.curve').getAttribute('aria-label'))")
        .await;
    browser.click("[data-revision=\"3\"] .more").await;
    browser.misses(".event").await;
    browser.has_no_faults().await;
}

/// Stocks as the drawn curve has them, by the scale beside it: where its line turns, and where its dots are.
const DRAWN: &str = "(() => {
    const top = Number([...document.querySelectorAll('.plot > span')].at(-1).textContent.replaceAll(',', ''));
    const copies = (part) => Math.round((1 - part) * top);
    const line = document.querySelector('.curve .path').getAttribute('d');
    const dots = [...document.querySelectorAll('.plot i:not(.chosen)')];
    const lefts = dots.map((dot) => parseFloat(dot.style.left));
    return {
        line: [...line.matchAll(/V([\\d.]+)/g)].map(([, y]) => copies(y / 200)),
        dots: dots.map((dot) => copies(parseFloat(dot.style.top) / 100)),
        renewals: dots.map((dot, at) => dot.classList.contains('renewal') ? at : -1).filter((at) => at >= 0),
        inOrder: lefts.every((left, at) => at === 0 || left >= lefts[at - 1]) && lefts[0] === 0 && lefts.at(-1) <= 100,
        ends: copies(parseFloat(document.querySelector('.plot i.chosen').style.top) / 100),
        seen: document.querySelector('.curve .path').getBBox().width > 900,
    };
})()";

/// Wants that the curve shows the history that the server tells, and returns its stocks.
async fn the_curve_is_the_history(system: &System, browser: &Browser) -> Vec<u64> {
    let history = system.gateway().get("/books/1/history").await.json(200);
    let movements = history["_embedded"]["movements"].as_array().unwrap();
    let stocks: Vec<_> = movements.iter().map(|movement| movement["stock"].as_u64().unwrap()).collect();
    let renewals: Vec<_> = (0..movements.len()).filter(|&at| movements[at]["type"] == "Renewed").collect();
    let shown = json!({"line": stocks, "dots": stocks, "renewals": renewals, "inOrder": true, "ends": stocks.last(), "seen": true});
    assert_eq!(browser.value(DRAWN, vec![]).await, shown);
    stocks
}

#[tokio::test]
async fn why_the_stock_is_what_it_is_is_told_by_the_events_that_count() {
    let (_system, browser) = book_page("en", "#/books/1").await;
    browser.sees(".why", "Why is it 122?").await;
    let sum = "[...document.querySelectorAll('.why li')].map((each) => `${each.querySelector('.sign')?.innerText ?? ''}${each.querySelector('b').innerText}`).join(' ')";
    browser.holds(&format!("{sum} === '100 −3 +25 =122'")).await;
    browser.sees(".why button", "water damage").await;
    browser.sees(".why", "What came before the last renewal no longer counts").await;
    // A term leads to its event, and to the book as that event left it.
    browser.click(".why li:nth-child(2) button").await;
    browser.sees(".why", "Why is it 97?").await;
    browser.sees(".then-note", "97 in stock, edition 2.0").await;
    browser.holds("document.querySelector('.history tr.chosen').dataset.revision === '3'").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_slider_goes_through_time_and_the_server_tells_what_was() {
    let (system, browser) = book_page("en", "#/books/1").await;
    browser.click(".history [data-revision=\"4\"] .kind").await;
    browser.run("document.querySelector('input[type=range]').focus();", vec![]).await;
    for (stock, edition, revision) in [(97, "2.0", 3), (100, "2.0", 2), (42, "1.0", 1), (30, "1.0", 0)] {
        browser.press_key(Key::Left).await;
        browser.sees(".then-note", &format!("{stock} in stock, edition {edition}")).await;
        browser.sees(".why", &format!("Why is it {stock}?")).await;
        browser
            .holds(&format!("document.querySelector('.history tr.chosen').dataset.revision === '{revision}'"))
            .await;
        browser
            .holds(&format!(
                "document.querySelector('[type=range]').getAttribute('aria-valuetext').endsWith(', {stock}')"
            ))
            .await;
    }
    browser.run("document.querySelector('.view').scrollTop = 0;", vec![]).await;
    browser.picture("book-then").await;
    // The moment has an address; what was later is not yet.
    let first = &system.gateway().get("/books/1/history").await.json(200)["_embedded"]["movements"][0];
    browser.holds(&format!("location.hash === '#/books/1?at={}'", first["position"].as_str().unwrap())).await;
    browser.reload().await;
    browser.sees(".then-note", "30 in stock, edition 1.0").await;
    browser.holds("document.querySelectorAll('.history tbody tr:not([hidden])').length === 1").await;
    browser.sees(".title .copies", "30").await;
    browser.holds("[...document.querySelectorAll('.title [data-act]')].every((act) => act.disabled)").await;
    browser.click(".then-note button").await;
    browser.misses(".then-note").await;
    browser.sees(".why", "Why is it 122?").await;
    browser.sees(".title .copies", "122").await;
    browser.holds("[...document.querySelectorAll('.title [data-act]')].every((act) => !act.disabled)").await;
    browser.holds("document.querySelectorAll('.history tbody tr:not([hidden])').length === 5").await;
    browser.holds("location.hash === '#/books/1'").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_happens_meanwhile_joins_the_history_and_takes_nobodys_place_away() {
    let (system, browser) = book_page("ko", "#/books/1").await;
    browser.click("[data-revision=\"3\"] .more").await;
    browser.sees(".event", "water damage").await;
    browser.run("document.querySelector('input[type=range]').focus();", vec![]).await;
    system.gateway().book("/books/1/corrections", &json!({"qtyDelta": -2, "reason": "분실"})).await;
    browser.sees(".title .copies", "120").await;
    browser.sees(".history", "분실").await;
    browser.sees(".why", "왜 120권인가요?").await;
    browser.sees(".event", "water damage").await;
    browser.holds("document.activeElement.type === 'range'").await;
    assert_eq!(the_curve_is_the_history(&system, &browser).await, [30, 42, 100, 97, 122, 120]);
    browser.run("document.querySelector('.view').scrollTop = 0;", vec![]).await;
    browser.picture("book-korean").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_page_of_a_book_that_is_not_there_yet_comes_alive_with_its_first_copies() {
    let system = library().await;
    let browser = Browser::start(&system.place, "en").await;
    for book in [98, 99] {
        browser.open(&system.gateway(), &format!("#/books/{book}")).await;
        browser.sees(".nothing", &format!("No copy of book {book} has come in")).await;
        browser.holds("document.querySelector('[aria-busy=true]') === null").await;
        if book == 98 {
            // Somebody else brings it.
            system.gateway().book("/books/98/warehousings", &json!({"qty": 5})).await;
        } else {
            browser.click(".nothing .button").await;
            browser.holds("document.querySelector('[name=bookId]').value === '99'").await;
            browser.fill("[name=qty]", "5").await;
            browser.press_key(Key::Enter).await;
        }
        browser.sees(".title .copies:not(.pending)", "5").await;
        browser.sees(".history", "Warehoused").await;
        browser.sees(".why", "Why is it 5?").await;
        browser.misses(".nothing").await;
        browser.holds("document.querySelector('[aria-busy=true]') === null").await;
    }
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_long_history_comes_in_parts_and_a_moment_in_it_has_an_address() {
    let system = library().await;
    let rows: String =
        (0..1_200).map(|row| format!("{{\"bookId\":1,\"qty\":1,\"idempotencyKey\":\"{row}\"}}\n")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    for part in rows.lines().collect::<Vec<_>>().chunks(600) {
        // A store that is busy may turn some away; sent again, each is booked once.
        eventually("all rows are booked", async || {
            let gateway = system.gateway();
            let sent = gateway.send(reqwest::Method::POST, "/warehousings", &headers, part.join("\n")).await;
            let booked = sent.text.lines().filter(|line| line.contains("\"answer\":")).count();
            if booked == part.len() { Ok(()) } else { Err(sent.text) }
        })
        .await;
    }
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "#/books/1").await;
    browser.sees(".copies", "1,322").await;
    let shown = "document.querySelectorAll('.history tbody tr').length";
    browser.holds(&format!("{shown} === 500")).await;
    browser.sees(".why", "others").await;
    browser.picture("book-long").await;
    browser.click("[data-key=older]").await;
    browser.holds(&format!("{shown} === 1000")).await;
    browser.click("[data-key=older]").await;
    browser.holds(&format!("{shown} === 1205")).await;
    browser.misses("[data-key=older]").await;
    let first = &system.gateway().get("/books/1/history?size=1").await.json(200)["_embedded"]["movements"][0];
    browser.open(&system.gateway(), &format!("#/books/1?at={}", first["position"].as_str().unwrap())).await;
    browser.reload().await;
    browser.sees(".then-note", "30 in stock, edition 1.0").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_list_is_shown_as_it_was_and_leads_to_each_book_as_it_was() {
    let system = library().await;
    let first = &system.gateway().get("/books/1/history").await.json(200)["_embedded"]["movements"][1];
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.click("[data-then]").await;
    browser.sees(".notice", "The stock as it was on").await;
    let then = first["occurredAt"].as_str().unwrap();
    browser.open(&system.gateway(), &format!("#/?at={then}")).await;
    browser.sees(".row", "해리 포터").await;
    browser.sees(".row .stock", "42").await;
    browser.sees(".foot", "1 book").await;
    browser.picture("list-then").await;
    browser.click(".row .name a").await;
    browser.sees(".then-note", "42 in stock, edition 1.0").await;
    let position = first["position"].as_str().unwrap();
    browser
        .holds(&format!("document.querySelector('.then-note .small').innerText === 'position {position}'"))
        .await;
    browser.sees(".title .copies", "42").await;
    browser.back().await;
    browser.click(".tools .main").await;
    browser.sees(".foot", "2 books").await;
    browser.has_no_faults().await;
}

/// Has the list as it was come in parts of one book, the first part without it, as where a walk passes over books that were
/// unknown then; and none after the second part while `isOut`.
const IN_SMALL_PARTS: &str = "window.isOut = true;
    const send = window.fetch;
    window.fetch = async (...request) => {
        const path = String(request[0]);
        if (!path.includes('asOf=')) return send(...request);
        if (window.isOut && /cursor=[^&]/.test(path) && window.parts > 1) return new Response('', { status: 503 });
        window.parts = (window.parts ?? 0) + 1;
        const answer = await send(path.replace('size=200', 'size=1'), request[1]);
        if (window.parts > 1) return answer;
        const body = await answer.json();
        body._embedded.books = [];
        return new Response(JSON.stringify(body), { status: 200, headers: answer.headers });
    };";

#[tokio::test]
async fn the_list_as_it_was_goes_on_though_a_part_of_it_is_short_or_empty_or_does_not_come() {
    let system = library().await;
    let gateway = system.gateway();
    let booked = gateway.book("/books/3/warehousings", &json!({"qty": 4, "name": "The Trial"})).await;
    let position = booked["position"].as_str().unwrap();
    gateway.get(&format!("/books/3?minPosition={position}&wait=10000")).await.json(200);
    let browser = Browser::start(&system.place, "en").await;
    browser.first_runs(IN_SMALL_PARTS).await;
    browser.open(&gateway, &format!("#/?at={position}")).await;
    browser.sees(".row", "Momo").await;
    browser.sees(".foot", "1+ · The server answered 503").await;
    browser.misses(".nothing").await;
    browser.run("window.isOut = false;", vec![]).await;
    browser.click(".foot .button").await;
    browser.sees(".row", "The Trial").await;
    browser.sees(".foot", "2 books").await;
    browser.misses(".foot .button").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_moment_in_an_address_is_a_position_or_a_time_and_what_is_neither_is_told() {
    let system = library().await;
    let gateway = system.gateway();
    let first = &gateway.get("/books/1/history").await.json(200)["_embedded"]["movements"][1];
    let position = first["position"].as_str().unwrap();
    let time = first["occurredAt"].as_str().unwrap();
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&gateway, &format!("#/?at={position}")).await;
    browser.sees(".notice", &format!("The stock as it was at position {position}.")).await;
    browser.sees(".row .stock", "42").await;
    browser.open(&gateway, "#/?at=garbage").await;
    browser.sees(".notice", "“garbage” is neither a position").await;
    browser.misses(".row").await;
    browser.open(&gateway, &format!("#/books/1?at={time}")).await;
    browser.sees(".then-note", "42 in stock, edition 1.0").await;
    browser.sees(".title .copies", "42").await;
    browser.open(&gateway, "#/books/1?at=garbage").await;
    browser.sees(".nothing", "“garbage” is neither a position").await;
    browser.misses(".title").await;
    browser.open(&gateway, "#/books/1?at=1970-01-01T00:00:00Z").await;
    browser.sees(".nothing a", "Back to now").await;
    browser.misses(".title").await;
    browser.click(".nothing a").await;
    browser.sees(".title .copies", "122").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn without_the_database_the_book_is_shown_and_its_history_comes_when_it_can() {
    let system = library().await;
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "2 books").await;
    system.freeze_postgres().await;
    browser.sees(".notice", "The database is away").await;
    browser.click(".row .name a").await;
    browser.sees(".title .copies", "122").await;
    browser.sees(".card", "The history cannot be shown right now").await;
    browser.picture("history-away").await;
    system.thaw_postgres();
    browser.sees(".history", "water damage").await;
    browser.misses(".notice").await;
    browser.has_no_faults().await;
}
