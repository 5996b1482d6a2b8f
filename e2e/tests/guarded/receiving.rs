//! `bookstock receive` where a token is asked for.

use crate::Guarded;
use e2e::{Ended, Process, command};
use std::fs;

pub(crate) async fn a_list_is_taken_from_who_may_write_and_from_nobody_else(guarded: &Guarded) {
    let place = guarded.topology.place();
    let list = place.path().join("guarded.csv");
    fs::write(&list, "bookId,qty\n901,5\n902,7\n").unwrap();
    let url = guarded.topology.site("gateway").url("");
    let receive = async |caller: &str, token: &str| -> Ended {
        let mut receive = command("bookstock");
        receive.arg("receive").arg(&list).args(["--url", &url]).env("BOOKSTOCK_TOKEN", token);
        Process::start(place, &format!("receive-as-{caller}"), &mut receive).ended().await
    };
    for (caller, token) in [("nobody", ""), ("reader", guarded.reader.as_str())] {
        let refused = receive(caller, token).await;
        assert_eq!(refused.code, Some(1), "{caller}: {refused:?}");
        assert!(refused.err.contains("give one in BOOKSTOCK_TOKEN"), "{caller}: {refused:?}");
    }
    let taken = receive("librarian", &guarded.librarian).await;
    assert_eq!((taken.code, taken.count("booked")), (Some(0), 2), "{taken:?}");
}
