//! A stream that waits is looked at, tried again, and gone past.

use crate::given::*;
use read_model::{Reader, ReaderOptions};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_stream_is_shown_tried_again_and_flows_when_its_event_is_skipped_with_a_reason() {
    let (mut library, database) = projected("parked").await;
    let url = library.store.url();
    let tool = async |arguments: &[&str]| replay(&url, Some(&database), arguments).await;
    assert_eq!(tool(&["parked", "list", "--json"]).await.json(0), json!({"parked": []}));
    assert_eq!(tool(&["parked", "retry", "2"]).await.complaint(1), "replay: book-2 is not parked");
    assert!(tool(&["parked", "skip", "2", "--reason", "x"]).await.complaint(1).contains("nothing to skip"));

    let position = library.scribble(2).await;
    let projecting = Projecting::start(&library, &database);
    let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
    reader.wait_for(position, PATIENCE).await.unwrap();
    let listed = tool(&["parked", "list", "--json"]).await.json(0);
    assert_eq!(
        without(listed.clone(), &["parkedAt", "reason", "retry"]),
        json!({"parked": [{
            "generation": 1, "bookId": 2, "stream": "book-2", "revision": 1, "position": position.to_string(), "later": 0,
            "written": true,
        }]})
    );
    assert!(listed["parked"][0]["reason"].as_str().unwrap().contains("Shredded"), "{listed}");
    assert!(tool(&["parked", "list"]).await.text(0).contains("book-2"));
    assert_eq!(tool(&["parked", "show", "2", "--json"]).await.json(0)["event"]["type"], "Shredded");
    // In a generation that stays as it is, it waits as well, and nobody ever tries it there.
    let to = position.to_string();
    assert_eq!(tool(&["rebuild", "--to", &to, "--json"]).await.json(0)["outcome"], "frozen");
    let listed = tool(&["parked", "list", "--json"]).await.json(0);
    let written =
        |index: usize| (&listed["parked"][index]["generation"], &listed["parked"][index]["written"]);
    assert_eq!((written(0), written(1)), ((&json!(1), &json!(true)), (&json!(2), &json!(false))));
    assert!(tool(&["parked", "list"]).await.text(0).contains("not written"));
    let retried = tool(&["parked", "retry", "2", "--json"]).await.json(1);
    assert_eq!((&retried["waits"], &retried["untried"]), (&json!(true), &json!([])));

    let retried = tool(&["parked", "retry", "--all", "--json"]).await.json(1);
    assert_eq!((&retried["parked"][0]["stream"], &retried["parked"][1]), (&json!("book-2"), &json!(null)));
    assert!(tool(&["parked", "retry"]).await.complaint(2).contains("--all"));

    // A parked book is right up to where it waits, and a generation that is built anew waits there as well.
    let verified = tool(&["verify", "--json"]).await.json(0);
    assert_eq!(verified["parked"][0]["stream"], "book-2");
    assert_eq!(tool(&["rebuild", "--dry-run", "--json"]).await.json(0)["parked"], 1);

    let skipped = tool(&["parked", "skip", "2", "--reason", "옛 도구의 기록", "--json"]).await.json(0);
    assert_eq!((&skipped["skipped"], &skipped["revision"]), (&json!(1), &json!(2)));
    // Whoever did not hear the answer asks again.
    let again = tool(&["parked", "skip", "2", "--reason", "옛 도구의 기록", "--json"]).await.json(0);
    assert_eq!(again, skipped);
    assert!(tool(&["parked", "skip", "2", "--reason", "x"]).await.complaint(1).contains("nothing to skip"));
    library.somebody_appended(2);
    let last = library.warehouse(2, 4).await;
    reader.wait_for(last, PATIENCE).await.unwrap();
    let row = "SELECT stock FROM rm_1.book_stock WHERE book_id = 2 AND revision = 3";
    let client = connect(&database).await;
    let started = std::time::Instant::now();
    let stock: i64 = loop {
        match client.query_opt(row, &[]).await.unwrap() {
            Some(row) => break row.get(0),
            None => assert!(started.elapsed() < PATIENCE, "it never flowed again"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(stock, 9);
    let only = tool(&["parked", "retry", "2"]).await;
    assert!(only.complaint(1).contains("parked only in generation 2, which no projector writes"), "{only:?}");
    tool(&["generations", "--drop", "2"]).await.text(0);
    assert_eq!(tool(&["parked", "list", "--json"]).await.json(0), json!({"parked": []}));
    assert_eq!(
        tool(&["parked", "retry", "--all", "--json"]).await.json(0),
        json!({"parked": [], "untried": []})
    );
    tool(&["verify"]).await.text(0);
    let explained = tool(&["explain", "book", "2", "--json"]).await.json(0);
    assert_eq!(
        (&explained["book"]["stock"], &explained["events"][2]["type"]),
        (&json!(9), &json!("Skipped"))
    );
    assert!(tool(&["explain", "book", "2"]).await.text(0).contains("옛 도구의 기록"));
    let past = tool(&["as-of", &last.to_string(), "--json"]).await.json(0);
    assert_eq!(past["books"][1]["stock"], 9, "{past}");
    assert_eq!(tool(&["rebuild", "--json"]).await.json(0)["outcome"], "switched");
    projecting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_asked_for_while_the_event_store_is_away_is_kept_and_done_when_it_is_back() {
    let (mut library, database) = projected("retry_kept").await;
    let url = library.store.url();
    let tool = async |arguments: &[&str]| replay(&url, Some(&database), arguments).await;
    let position = library.scribble(2).await;
    let projecting = Projecting::start(&library, &database);
    let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
    reader.wait_for(position, PATIENCE).await.unwrap();
    assert_eq!(tool(&["parked", "retry", "2", "--json"]).await.json(1)["waits"], true);

    library.store.kill();
    let asked = tool(&["parked", "retry", "2"]).await;
    assert!(asked.complaint(1).contains("event store is away"), "{asked:?}");
    let listed = tool(&["parked", "list", "--json"]).await.json(0);
    assert_eq!(listed["parked"][0]["retry"], true, "{listed}");

    library.store.start_again();
    let started = std::time::Instant::now();
    while tool(&["parked", "list", "--json"]).await.json(0)["parked"][0]["retry"] == true {
        assert!(started.elapsed() < PATIENCE, "nobody tried it again");
    }
    projecting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_tells_what_came_of_it_where_it_serves_and_in_which_generation_nobody_tried() {
    let (mut library, database) = projected("retry_beside").await;
    let url = library.store.url();
    let tool = async |arguments: &[&str]| replay(&url, Some(&database), arguments).await;
    let position = library.scribble(2).await;
    project(&library, &database, position).await;
    assert_eq!(tool(&["rebuild", "--json"]).await.json(0)["outcome"], "switched");
    // As it is after a move: the generation that is kept stands at an event of another store.
    sql(&database, "UPDATE bookstock.projection SET event_id = gen_random_uuid() WHERE generation = 1").await;
    let projecting = Projecting::start(&library, &database);
    let last = library.warehouse(1, 1).await;
    let reader = Reader::new(&database, ReaderOptions::default()).unwrap();
    reader.wait_for(last, PATIENCE).await.unwrap();
    let one = ["parked", "retry", "2", "--json"];
    let all = ["parked", "retry", "--all"];
    // What was tried counts, though its next event has it tried again, and the next.
    sql(&database, WHO_ASKS).await;
    let marked = AtomicBool::new(false);
    let (one, all) = tokio::select! {
        told = async { tokio::join!(tool(&one), tool(&all)) } => told,
        () = mark_again_and_again(&database, &marked) => unreachable!("it goes on for ever"),
    };
    assert!(marked.load(Ordering::Relaxed), "they ended before it was tried");
    let one = one.json(1);
    assert_eq!((&one["waits"], &one["untried"]), (&json!(true), &json!([1])), "{one}");
    assert!(one["reason"].as_str().unwrap().contains("Shredded"), "{one}");
    let told = all.text(1);
    assert!(told.contains("these wait on") && told.contains("not tried in generation 1 within"), "{all:?}");
    projecting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_stream_that_is_being_folded_anew_says_so_when_it_was() {
    let (mut library, database) = projected("folded_meanwhile").await;
    let position = library.scribble(2).await;
    project(&library, &database, position).await;
    // As a projector does, in one transaction.
    let (folding, looking) = (connect(&database).await, connect(&database).await);
    folding.batch_execute("BEGIN; DELETE FROM bookstock.parked").await.unwrap();
    let retry = start(&library.store.url(), Some(&database), &["parked", "retry", "2"]);
    let waits = "SELECT xact_start::text FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'bookstock replay' AND wait_event_type = 'Lock'";
    let since: String = until_there_is(&looking, waits).await.get(0);
    until_there_is(&looking, &format!("{waits} AND xact_start > '{since}'")).await;
    folding.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ended(retry).await.text(0).trim(), "book-2 was folded anew and flows again");
}

/// Notes in the table `asked` who changes the streams that wait.
const WHO_ASKS: &str = "
    CREATE TABLE public.asked (who text);
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.asked VALUES (current_setting('application_name')); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER UPDATE ON bookstock.parked FOR EACH STATEMENT EXECUTE FUNCTION public.note()";

/// Once both tools have asked, and have looked since it was tried in generation 2, marks it there to be tried again, and
/// does so for ever.
async fn mark_again_and_again(database: &str, marking: &AtomicBool) {
    let client = connect(database).await;
    let tried_at = "
        SELECT clock_timestamp()::text FROM bookstock.parked WHERE generation = 2 AND NOT retry
            AND 2 = (SELECT count(*) FROM public.asked WHERE who = 'bookstock replay')";
    let tried_at: String = until_there_is(&client, tried_at).await.get(0);
    let looked = format!(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bookstock replay'
            AND state = 'idle' AND query_start > '{tried_at}' AND state_change < clock_timestamp() - interval '50 ms'
         HAVING count(*) = 2"
    );
    // A statement is prepared, which looks at nothing, right before it is run.
    until_there_is(&client, &looked).await;
    marking.store(true, Ordering::Relaxed);
    loop {
        client.batch_execute("UPDATE bookstock.parked SET retry = true WHERE generation = 2").await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_that_names_its_event_can_be_run_again_and_takes_out_no_other() {
    let (mut library, database) = projected("named").await;
    let url = library.store.url();
    library.scribble(2).await;
    library.scribble(2).await;
    let skip = async |revision: &str, reason: &str| {
        let arguments = ["parked", "skip", "2", "--revision", revision, "--reason", reason, "--json"];
        replay(&url, Some(&database), &arguments).await
    };
    let first = skip("1", "shredded").await.json(0);
    assert_eq!((&first["skipped"], &first["revision"]), (&json!(1), &json!(3)));
    assert_eq!(skip("1", "shredded").await.json(0), first);
    assert!(skip("1", "lost").await.complaint(1).contains("taken out already, for another reason"));
    assert!(skip("0", "lost").await.complaint(1).contains("event 0 of book-2 can be read"));
    assert!(skip("9", "lost").await.complaint(1).contains("book-2 has no event 9"));
    // While another event cannot be read, nobody knows what the book is, and so nothing says it.
    let stored = async || replay(&url, None, &["show", "book-2", "--json"]).await.json(0)["events"].clone();
    let metadata = stored().await[3]["metadata"].clone();
    assert_eq!((&metadata["schemaVersion"], metadata.get("after")), (&json!(1), None), "{metadata}");
    assert_eq!(first["stillUnreadable"], 1);
    // For whom is about to deploy a version, only what is not taken out counts.
    let check = async || replay(&url, None, &["check", "--json"]).await;
    let checked = check().await.json(1);
    assert_eq!((&checked["skipped"], &checked["unreadable"]), (&json!(1), &json!(1)));
    let left: Vec<_> =
        checked["firstUnreadable"].as_array().unwrap().iter().map(|event| &event["revision"]).collect();
    assert_eq!(left, [&json!(2)], "{checked}");
    let unnamed = ["parked", "skip", "2", "--reason", "shredded", "--json"];
    let second = replay(&url, Some(&database), &unnamed).await.json(0);
    assert_eq!((&second["skipped"], &second["stillUnreadable"]), (&json!(2), &json!(0)));
    assert_eq!(stored().await[4]["metadata"]["after"], after("책 2", 1.0, 5));
    let checked = check().await.json(0);
    assert_eq!((&checked["skipped"], &checked["unreadable"]), (&json!(2), &json!(0)));
    // Another event that takes out one of them changes nothing.
    library.somebody_appended(2);
    library.somebody_appended(2);
    let again = library.skip_with_a_lie(2, 1).await;
    assert_eq!(check().await.json(0)["skipped"], 2);
    assert!(replay(&url, None, &["check"]).await.text(0).contains("all others can be read"));

    project(&library, &database, again).await;
    let verified = replay(&url, Some(&database), &["verify", "--json"]).await.json(1);
    assert_eq!((&verified["drift"], &verified["wrongAfter"]), (&json!([]), &json!(1)), "{verified}");
    assert_eq!(
        verified["wrongAfterEvents"][0]["position"],
        again.to_string(),
        "neither of the skips is wrong"
    );
}
