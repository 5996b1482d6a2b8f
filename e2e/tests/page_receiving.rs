//! A receiving list on the librarian's page, in a real browser: looked at, booked row by row, and safe to send again.
#![cfg(test)]

use e2e::{Browser, ReceivingList, System, shred};
use event_store::Expected;
use serde_json::json;
use std::fs;
use thirtyfour::Key;

async fn receiving_page() -> (System, Browser) {
    let system = System::start().await;
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "#/receive").await;
    browser.sees("main", "Drop a receiving list here").await;
    (system, browser)
}

#[tokio::test]
async fn a_dropped_list_is_looked_at_first_then_booked_with_a_result_for_each_row() {
    let (system, browser) = receiving_page().await;
    let list = "bookId,qty,name,shelf\r\n1,123,\"해리 포터, 1권\",A\r\n2,7,\"Say \"\"hello\"\"\",B\r\nx,5,,C\r\n3,0,,D\r\n1,7,,E\r\n";
    browser.drop_file("delivery.csv", list.as_bytes()).await;
    browser.sees("main", "5 rows, 137 copies").await;
    browser.sees("main", "Columns not used: shelf").await;
    browser.sees("[data-filter=bad]", "2 problems").await;
    browser.sees(".row.wrong", "the book number is a whole number").await;
    browser.picture("receiving-preview").await;
    assert_eq!(system.gateway().book_count().await, Ok(0), "nothing is booked by looking");
    browser.click("[data-do=start]").await;
    browser.sees(".progress", "3 booked, 2 with problems").await;
    browser.sees(".row.booked", "booked, 130 in stock").await;
    browser.sees(".row.booked", "해리 포터, 1권").await;
    browser.picture("receiving-done").await;
    assert_eq!(system.gateway().get("/libraries/1").await.json(200)["stock"], 130);
    assert_eq!(system.gateway().get("/libraries/2").await.json(200)["stock"], 7);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_same_list_again_books_nothing_wherever_it_was_sent_before() {
    let (system, browser) = receiving_page().await;
    let list = ReceivingList::write(&system.place, "bookId,qty,name\n1,5,Momo\n2,6,\n3,7,\n");
    let ended = list.send(&system.place, &system.gateway()).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    browser.choose_file("input[type=file]", &list.path).await;
    browser.sees("main", "3 rows, 18 copies").await;
    browser.click("[data-do=start]").await;
    browser.sees(".progress", "Nothing new: all 3 rows were booked before").await;
    browser.sees("[data-filter=done]", "0 booked").await;
    browser.sees("[data-filter=already]", "3 already booked").await;
    browser.sees(".row.repeated", "was booked before, 5 in stock then").await;
    for (book, stock) in &list.stocks {
        assert_eq!(system.gateway().get(&format!("/libraries/{book}")).await.json(200)["stock"], *stock);
    }
    browser.has_no_faults().await;
}

#[tokio::test]
async fn a_list_is_received_with_the_keyboard_alone() {
    let (system, browser) = receiving_page().await;
    let list = ReceivingList::write(&system.place, "bookId,qty,name\n1,5,Momo\n2,0,\n3,7,\n");
    let tab_to = async |css: &str| {
        for _ in 0..20 {
            let is_there = format!("document.activeElement.matches('{css}')");
            if browser.value(&is_there, vec![]).await == json!(true) {
                return;
            }
            browser.press_key(Key::Tab).await;
        }
        panic!("no Tab leads to {css}");
    };
    // The window of the system that would open is not the page's.
    let opened = "document.querySelector('input[type=file]').addEventListener('click', (event) => { event.preventDefault(); window.opened = true; });";
    browser.run(opened, vec![]).await;
    tab_to(".drop .button").await;
    browser.press_key(Key::Enter).await;
    browser.holds("window.opened === true").await;
    browser.choose_file("input[type=file]", &list.path).await;
    browser.sees("main", "3 rows, 12 copies").await;
    tab_to("[data-do=start]").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".progress", "2 booked, 1 with problems").await;
    tab_to("[data-filter=all]").await;
    browser.press_key(Key::Enter).await;
    browser.sees(".row.booked", "booked, 7 in stock").await;
    assert_eq!(system.gateway().get("/libraries/3").await.json(200)["stock"], 7);
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_excel_makes_is_read() {
    let (_system, browser) = receiving_page().await;
    let utf16 = |text: &str| {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>()
    };
    let korean_windows = [
        &b"\xb5\xb5\xbc\xad\xb9\xf8\xc8\xa3,\xbc\xf6\xb7\xae,\xc1\xa6\xb8\xf1\r\n1,5,"[..],
        b"\xc7\xd8\xb8\xae\r\n",
    ]
    .concat();
    for (what, content) in [
        ("a byte order mark and CRLF", "\u{feff}bookId,qty,name\r\n1,5,해리\r\n".as_bytes().to_vec()),
        ("semicolons", "bookId;qty;name\r\n1;5;해리\r\n".as_bytes().to_vec()),
        ("tabs in UTF-16", utf16("bookId\tqty\tname\r\n1\t5\t해리\r\n")),
        ("Korean Windows, with Korean column names", korean_windows),
        (
            "quotes and a line break within",
            "\"bookId\",\"qty\",\"name\"\n\"1\",\"5\",\"해리\"\n\n".as_bytes().to_vec(),
        ),
    ] {
        browser.drop_file(&format!("{what}.csv"), &content).await;
        browser.sees("h2", what).await;
        browser.sees("[data-filter=good]", "1 ready").await;
        browser.sees(".row.ready", "해리").await;
    }
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_is_no_receiving_list_is_told_and_the_next_file_is_welcome() {
    let (_system, browser) = receiving_page().await;
    for (content, told) in [
        (&b"title,copies\nMomo,5\n"[..], "must name the columns bookId and qty"),
        (b"bookId,qty\n", "It has no rows"),
        (b"bookId,qty,qty\n1,2,3\n", "The column qty comes twice"),
        (b"", "The file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "It is not a text file"),
    ] {
        browser.drop_file("odd.csv", content).await;
        browser.sees("[role=alert]", told).await;
    }
    browser.picture("receiving-no-list").await;
    browser.drop_file("good.csv", b"bookId,qty\n1,2\n").await;
    browser.sees("main", "1 row, 2 copies").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn what_a_row_with_a_bad_quote_or_lost_letters_means_is_not_guessed() {
    let (_system, browser) = receiving_page().await;
    for (what, content, good, told) in [
        (
            "open at the end",
            &b"bookId,qty,name\n1,1,a\n5020,1,\"cut of"[..],
            1,
            "the quote of line 3 is not closed",
        ),
        (
            "over lines",
            b"bookId,qty,name\n1,1,\"a\"\n\n2,1,\"cut of\n3,1,c\n",
            1,
            "the quote of line 4 is not closed",
        ),
        (
            "text after",
            b"bookId,qty,name\r\n6403,1,\"a\"b\"\r\n1,1,\"c\"\r\n",
            1,
            "text after a closed quote, of line 2",
        ),
        ("a number", b"bookId,qty\n\"1\"2,5\n3,4\n4,4\n", 2, "text after a closed quote, of line 2"),
        ("western", b"bookId,qty,name\n1,5,M\xfcller\n2,5,Momo\n", 1, "letters are lost"),
    ] {
        browser.drop_file(&format!("{what}.csv"), content).await;
        browser.sees("h2", what).await;
        browser.sees("[data-filter=bad]", "1 problem").await;
        browser.sees("[data-filter=good]", &format!("{good} ready")).await;
        browser.sees(".row.wrong", told).await;
    }
    browser.drop_file("header.csv", b"bookId,qty,\"name\n1,1,a\n").await;
    browser.sees("[role=alert]", "the quote of line 1 is not closed").await;
    // Among the rows that are good, a quote within quotes, a blank behind a closed quote, and a quote that opens none.
    let good = b"bookId,qty,name\n\"1\" ,5,\"a, \"\"b\"\"\"\n2,5,5\" disk\n";
    browser.drop_file("good.csv", good).await;
    browser.sees("[data-filter=good]", "2 ready").await;
    browser.sees(".row.ready", "a, \"b\"").await;
    browser.sees(".row.ready", "5\" disk").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn rows_that_the_library_refuses_can_be_saved_as_a_list_of_their_own() {
    let (system, browser) = receiving_page().await;
    system.gateway().book("/books/2/warehousings", &json!({"qty": 5})).await;
    browser.drop_file("delivery.csv", b"bookId,qty,version\n1,5,1.0\n2,5,7\n3,5,\n").await;
    browser.click("[data-do=start]").await;
    browser.sees(".progress", "2 booked, 1 with problems").await;
    browser.click("[data-filter=bad]").await;
    browser.sees(".row.refused", "current edition is 1.0, not 7.0").await;
    let keep = "window.saved = []; const make = URL.createObjectURL; URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return make(blob); };";
    browser.run(keep, vec![]).await;
    browser.click("[data-do=save]").await;
    browser.holds("saved.length === 1 && saved[0].includes('2,5,7,') && !saved[0].includes('3,5')").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn rows_of_a_book_that_cannot_be_read_are_told_apart_and_do_not_keep_the_list_going() {
    let (system, browser) = receiving_page().await;
    shred(system.address("eventStore"), 2, Expected::NoStream).await;
    browser.drop_file("delivery.csv", b"bookId,qty\n1,5\n2,6\n3,7\n2,8\n").await;
    browser.click("[data-do=start]").await;
    browser.sees(".progress", "2 booked, 2 with problems").await;
    browser.sees(".row.unreadable", "The book's history cannot be read. It may be booked or not").await;
    browser.misses("[data-do=stop]").await;
    // In another list, with other keys, they could be booked twice.
    browser.misses("[data-do=save]").await;
    browser.click("[data-filter=bad]").await;
    browser.holds("document.querySelectorAll('.row.unreadable:not([hidden])').length === 2").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn ten_thousand_rows_go_on_after_a_stop_and_each_is_booked_once() {
    let (system, browser) = receiving_page().await;
    let mut text = "bookId,qty\n".to_owned();
    for book in 1..=10_000 {
        text.push_str(&format!("{book},{}\n", 1 + book % 90));
    }
    let list = ReceivingList::write(&system.place, &text);
    browser.drop_file("delivery.csv", &fs::read(&list.path).unwrap()).await;
    browser.click("[data-do=start]").await;
    browser.holds("document.querySelector('progress').value > 20").await;
    // The rest would be booked sooner than a picture is taken.
    system.freeze_launcher().await;
    browser.picture("receiving-under-way").await;
    browser.drop_file("another.csv", b"bookId,qty\n1,2\n").await;
    browser.sees(".toast", "delivery.csv is still being booked").await;
    browser.sees("h2", "delivery.csv").await;
    browser.click("[data-do=stop]").await;
    system.thaw_launcher();
    browser.click("[data-do=start]").await;
    browser.sees(".progress", "All 10,000 rows are booked").await;
    e2e::eventually("the views equal the list", async || system.gateway().shows(&list.stocks).await).await;
    browser.has_no_faults().await;
}
