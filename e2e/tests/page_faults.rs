//! The librarian's page behind the real gateway, while each part of the system is away: it shows the list all the same,
//! and says what is missing.
#![cfg(test)]

use e2e::{Browser, Gateway, Topology};
use serde_json::json;

/// Everything as processes of its own, two books in it, and a browser that shows them.
async fn library() -> (Topology, Gateway, Browser) {
    let topology = Topology::hurried().await;
    let command_apis = [topology.command_apis[0].addr(), topology.command_apis[1].addr()];
    let query_apis = [topology.query_api.addr(), topology.query_api.addr()];
    let gateway = Gateway::start(&topology.place, command_apis, query_apis, &[]).await;
    gateway.ready().await;
    for (book, name) in [(1, "Momo"), (2, "토지")] {
        let body = json!({"qty": 30, "name": name});
        gateway.site().book(&format!("/books/{book}/warehousings"), &body).await;
    }
    let browser = Browser::start(&topology.place, "en").await;
    browser.open(&gateway.site(), "").await;
    browser.sees(".foot", "2 books").await;
    browser.sees("[data-status]", "Live").await;
    (topology, gateway, browser)
}

/// Keeps a picture by day and one by night.
async fn pictures(browser: &Browser, name: &str) {
    browser.picture(name).await;
    browser.prefers(&[("prefers-color-scheme", "dark")]).await;
    browser.picture(&format!("{name}-dark")).await;
    browser.prefers(&[]).await;
}

/// A look that is new, not one that was there before.
async fn shows_the_list(browser: &Browser) {
    browser.reload().await;
    browser.sees(".foot", "2 books").await;
    browser.sees(".row", "토지").await;
}

async fn warehouse_five(browser: &Browser) {
    browser.click(".row .acts [data-act=warehouse]").await;
    browser.fill("[name=qty]", "5").await;
    browser.click("dialog [type=submit]").await;
}

#[tokio::test]
async fn without_projectors_what_is_booked_is_shown_as_booked_and_becomes_a_fact_later() {
    let (mut topology, _gateway, browser) = library().await;
    for projector in &mut topology.projectors {
        projector.kill();
    }
    // The lease runs out, and that is told to who has booked nothing.
    browser.sees(".notice", "The list is not being updated").await;
    browser.sees("[data-status]", "Not updated").await;
    browser.click("[data-status]").await;
    browser.sees(".status [data-service=projector][data-up=false]", "does not work").await;
    browser.sees(".status", "not updated since").await;
    pictures(&browser, "projector-away-status").await;
    shows_the_list(&browser).await;
    browser.sees(".notice", "The list is not being updated").await;
    warehouse_five(&browser).await;
    browser.sees(".toast", "5 in, 35 in stock").await;
    browser.sees(".row.pending.booked .stock", "35").await;
    browser.picture("projector-away").await;
    topology.projectors[1].start_again().await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    browser.misses(".notice").await;
    browser.sees("[data-status]", "Live").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn without_the_event_store_or_the_command_api_nothing_is_booked_and_the_list_is_shown() {
    let (mut topology, _gateway, browser) = library().await;
    topology.event_store.kill();
    browser.sees(".notice", "Nothing can be booked right now. Looking works.").await;
    shows_the_list(&browser).await;
    warehouse_five(&browser).await;
    browser.sees("dialog [role=alert]", "event store").await;
    pictures(&browser, "event-store-away").await;
    topology.event_store.start_again().await;
    browser.misses(".notice").await;
    // The form is still there, with what was filled in.
    browser.click("dialog [type=submit]").await;
    browser.sees(".row:not(.pending) .stock", "35").await;
    for command_api in &mut topology.command_apis {
        command_api.kill();
    }
    browser.sees(".notice", "Nothing can be booked right now. Looking works.").await;
    browser.click("[data-status]").await;
    browser.sees(".status [data-service=command-api][data-up=false]", "does not work").await;
    pictures(&browser, "command-api-away").await;
    shows_the_list(&browser).await;
    // The gateway knows that nobody took the command, and the form says so: it can be changed and sent again.
    warehouse_five(&browser).await;
    browser.sees("dialog [role=alert]", "nothing was booked").await;
    browser.fill("[name=qty]", "6").await;
    topology.command_apis[1].start_again().await;
    browser.misses(".notice").await;
    browser.click("dialog [type=submit]").await;
    browser.sees(".row:not(.pending) .stock", "41").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn without_postgresql_and_with_nothing_left_but_the_query_api_the_list_is_shown_from_memory() {
    let (mut topology, _gateway, browser) = library().await;
    // Past the gateway there is no page.
    topology.query_api.site().get("/").await.problem(404, "no-such-route");
    topology.postgres.stop().await;
    browser.sees(".notice", "The database is away. You see the stock as of").await;
    shows_the_list(&browser).await;
    browser.sees(".notice", "The database is away. You see the stock as of").await;
    browser.sees("[data-status]", "As of").await;
    warehouse_five(&browser).await;
    browser.sees(".row.pending.booked .stock", "35").await;
    topology.event_store.kill();
    for service in topology.projectors.iter_mut().chain(&mut topology.command_apis) {
        service.kill();
    }
    browser.sees(".notice", "Nothing can be booked, and what you see may be old").await;
    shows_the_list(&browser).await;
    browser.sees("[data-status]", "As of").await;
    browser.click("[data-status]").await;
    browser.sees(".status [data-service=command-api][data-up=false]", "does not work").await;
    pictures(&browser, "all-but-query-api-away").await;
    browser.has_no_faults().await;
}
