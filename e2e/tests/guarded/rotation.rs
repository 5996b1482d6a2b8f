//! The issuer goes away, and comes back with other keys.

use crate::Guarded;
use e2e::eventually;
use rustix::process::Signal;

/// Gives the token that nobody believes any more.
pub(crate) async fn a_key_that_is_withdrawn_is_forgotten(guarded: &mut Guarded) -> String {
    let old = guarded.librarian.clone();
    let booked = guarded.topology.site("gateway").bearing(&old).warehouse(1, 1).await.json(201);
    guarded.identity.kill();
    let seen = format!("minPosition={}&wait=5000", booked["position"].as_str().unwrap());
    for (door, site, path) in guarded.doors() {
        let answer = site.bearing(&old).get(&format!("{path}?{seen}")).await;
        assert_eq!(answer.status, 200, "{door} forgot a key because nobody told it again: {answer:?}");
    }
    // Who has learnt no key lets nobody in.
    let name = "query-api-1";
    measured(guarded, "max(auth_issuer_answers) == 0").await;
    let pid = guarded.topology.part(name)["pid"].clone();
    guarded.topology.signal(name, Signal::KILL);
    guarded.topology.another(name, &pid).await;
    guarded.topology.site(name).bearing(&old).get("/books/1").await.problem(401, "token-unverifiable");

    guarded.identity.start_again("second").await;
    guarded.librarian = guarded.identity.token("librarian", "books:read books:write").await;
    guarded.operator = guarded.identity.token("operator", "ops").await;
    for (door, site, path) in guarded.doors() {
        let (by_new, by_old) = (site.bearing(&guarded.librarian), site.bearing(&old));
        eventually(&format!("{door} has learnt the new key"), async || {
            by_new.try_get(path).await?.wanted(200)
        })
        .await;
        eventually(&format!("{door} has forgotten the old key"), async || {
            by_old.try_get(path).await?.wanted(401)
        })
        .await;
    }
    old
}

/// Waits until Prometheus finds something.
async fn measured(guarded: &Guarded, query: &str) {
    eventually(query, async || {
        let found = guarded.topology.measured(query).await?;
        if found[0].is_object() { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}
