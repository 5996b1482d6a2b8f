//! An event that nobody can apply: its book says so, all others go on, and an operator takes it out.
#![cfg(test)]

use e2e::{Process, System, command, eventually, shred};
use event_store::Expected;
use serde_json::json;

#[tokio::test]
async fn a_book_that_waits_is_never_shown_as_newer_and_goes_on_when_its_event_is_taken_out() {
    let system = System::start().await;
    let gateway = system.gateway();
    let book = async |book: u64, qty: u64| {
        gateway.book(&format!("/books/{book}/warehousings"), &json!({"qty": qty})).await
    };
    book(1, 5).await;
    let shredded = shred(system.address("eventStore"), 1, Expected::Revision(0)).await;
    let after = book(2, 7).await;
    let after = after["position"].as_str().unwrap();

    let of_two = gateway.get(&format!("/books/2?minPosition={after}&wait=10000")).await.json(200);
    assert_eq!(of_two["stock"], 7);
    for path in ["/books/1", "/admins/1", "/books/1/history"] {
        gateway.get(path).await.json(200);
        for asked in [format!("{path}?minPosition={after}"), format!("{path}?asOf={shredded}")] {
            let told = gateway.get(&asked).await.problem(503, "stream-parked");
            assert_eq!(told["parkedAt"], shredded.to_string(), "{asked}");
        }
    }
    let list = gateway.get(&format!("/books?minPosition={after}")).await;
    assert_eq!((list.status, list.header("bookstock-parked")), (200, "1"));

    let data = system.place.path().join("data");
    let mut skip = command("replay");
    skip.arg("--data-dir").arg(data).args(["parked", "skip", "1", "--reason", "shredded by mistake"]);
    let ended = Process::start(&system.place, "skip", &mut skip).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let history = eventually("the book goes on", async || {
        gateway.try_get(&format!("/books/1/history?minPosition={after}")).await?.wanted(200)
    })
    .await;
    let skipped = history["_embedded"]["movements"].as_array().unwrap().last().unwrap();
    assert_eq!((&skipped["type"], &skipped["stock"]), (&"Skipped".into(), &5.into()), "{history}");
    assert!(!gateway.get("/books").await.headers.contains_key("bookstock-parked"));
    let position = book(1, 3).await["position"].as_str().unwrap().to_owned();
    let shown = gateway.get(&format!("/books/1?minPosition={position}&wait=10000")).await.json(200);
    assert_eq!(shown["stock"], 8);
}
