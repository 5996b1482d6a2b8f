//! How the librarian's page looks and speaks: languages, day and night, phones, and who hears instead of seeing.
#![cfg(test)]

use e2e::{Browser, System};
use serde_json::json;
use thirtyfour::Key;

async fn library() -> System {
    let system = System::start().await;
    let books = [
        (1, 130, "해리 포터와 마법사의 돌"),
        (2, 7, "The Trial"),
        (3, 0, "모모"),
        (4, 2_304, "Kritik der reinen Vernunft"),
        (5, 58, "채식주의자"),
        (6, 9, "백년 동안의 고독"),
        (7, 412, "To Kill a Mockingbird"),
        (8, 77, "난장이가 쏘아올린 작은 공"),
        (9, 100, "Le Petit Prince"),
        (10, 31, "토지 1"),
    ];
    for (book, stock, name) in books {
        let gateway = system.gateway();
        gateway
            .book(&format!("/books/{book}/warehousings"), &json!({"qty": stock.max(1), "name": name}))
            .await;
        if stock == 0 {
            gateway
                .book(&format!("/books/{book}/corrections"), &json!({"qtyDelta": -1, "reason": "분실"}))
                .await;
        }
    }
    system
}

#[tokio::test]
async fn it_speaks_the_language_of_the_browser_until_another_is_chosen() {
    let system = library().await;
    let browser = Browser::start(&system.place, "ko").await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "도서 10종").await;
    browser.holds("document.documentElement.lang === 'ko'").await;
    browser.picture("list-korean").await;
    browser.run("window.before = document.querySelector('[data-status]');", vec![]).await;
    browser.click("[data-language-switch]").await;
    browser.sees(".foot", "10 books").await;
    // What went with the other language is not drawn any more; the corner of this one is, at each answer.
    let watch = "window.drawn = []; for (const corner of [before, document.querySelector('[data-status]')]) new MutationObserver(() => drawn.push(corner === before ? 'old' : 'new')).observe(corner, { subtree: true, childList: true });";
    browser.run(watch, vec![]).await;
    browser.holds("drawn.includes('new') && !drawn.includes('old')").await;
    browser.reload().await;
    browser.sees(".foot", "10 books").await;
    browser.holds("document.documentElement.lang === 'en'").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn it_is_dark_where_the_system_is_until_another_theme_is_chosen() {
    let system = library().await;
    let browser = Browser::start(&system.place, "en").await;
    let is_dark = "getComputedStyle(document.documentElement).backgroundColor === 'rgb(20, 23, 21)'";
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "10 books").await;
    browser.picture("list-light").await;
    browser.holds(&format!("!({is_dark})")).await;
    browser.prefers(&[("prefers-color-scheme", "dark")]).await;
    browser.holds(is_dark).await;
    browser.picture("list-dark").await;
    browser.click("[data-theme-switch]").await;
    browser.holds(&format!("!({is_dark})")).await;
    browser.reload().await;
    browser.sees(".foot", "10 books").await;
    browser.holds(&format!("!({is_dark})")).await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn on_a_phone_nothing_runs_over_the_edge() {
    let system = library().await;
    let browser = Browser::start(&system.place, "ko").await;
    browser.window(360, 740, true).await;
    browser.open(&system.gateway(), "").await;
    browser.sees("main", "해리 포터").await;
    // Under a book's title, where a wide list has a column for it.
    let word = "getComputedStyle(document.querySelector('[data-book=\"1\"] .no'), '::before').content";
    browser.holds(&format!("{word}.includes('번호')")).await;
    let outside = "[...document.querySelectorAll('main *, .bar *')].filter((each) => each.checkVisibility() && each.getBoundingClientRect().width > 1 && each.getBoundingClientRect().right > 361 && !each.closest('.scrolls')).map((each) => each.className)";
    for (view, shown, picture) in [
        ("", "해리 포터", "phone-list"),
        ("#/books/1", "해리 포터", "phone-book"),
        ("#/receive", "입고 목록", "phone-receive"),
    ] {
        browser.open(&system.gateway(), view).await;
        browser.reload().await;
        browser.sees("main", shown).await;
        browser.sees("[data-status]", "실시간").await;
        browser.holds("document.documentElement.scrollWidth <= 360").await;
        assert_eq!(browser.value(outside, vec![]).await, json!([]), "{view}");
        browser.picture(picture).await;
    }
    // English has longer words.
    browser.click("[data-language-switch]").await;
    for (view, shown, picture) in [
        ("", "해리 포터", "phone-english-list"),
        ("#/books/1", "해리 포터", "phone-english-book"),
        ("#/receive", "Receiving list", "phone-english-receive"),
    ] {
        browser.open(&system.gateway(), view).await;
        browser.reload().await;
        browser.sees("[data-status]", "Live").await;
        browser.sees("main", shown).await;
        browser.holds("document.documentElement.scrollWidth <= 360").await;
        assert_eq!(browser.value(outside, vec![]).await, json!([]), "{view}");
        browser.picture(picture).await;
    }
    browser.click("[data-language-switch]").await;
    // The forms, too, with what they have to say.
    browser.open(&system.gateway(), "#/books/1").await;
    browser.reload().await;
    for (form, field, typed) in
        [("warehouse", "qty", "12"), ("renew", "version", "x"), ("correct", "qtyDelta", "-500")]
    {
        browser.click(&format!("[data-act={form}]")).await;
        browser.fill(&format!("[name={field}]"), typed).await;
        if form != "warehouse" {
            browser.click("dialog [type=submit]").await;
            browser.holds(&format!("document.querySelector('#field-{field}-wrong').innerText !== ''")).await;
        }
        let cut = "[...document.querySelectorAll('dialog, dialog *')].filter((each) => each.checkVisibility()).filter((each) => { const { left, right, bottom } = each.getBoundingClientRect(); return left < 0 || right > 360 || bottom > 740; }).map((each) => each.className)";
        assert_eq!(browser.value(cut, vec![]).await, json!([]), "{form}");
        browser.picture(&format!("phone-{form}")).await;
        browser.click("dialog .decide .plain").await;
        browser.misses("dialog").await;
    }
    browser.has_no_faults().await;
}

#[tokio::test]
async fn text_stands_out_from_what_is_behind_it_by_day_and_by_night() {
    let system = library().await;
    for (path, body) in [
        ("warehousings", json!({"qty": 40})),
        ("corrections", json!({"qtyDelta": -12, "reason": "파손"})),
        ("warehousings", json!({"qty": 65})),
        ("renewals", json!({})),
        ("corrections", json!({"qtyDelta": -7, "reason": "분실"})),
        ("warehousings", json!({"qty": 84})),
    ] {
        system.gateway().book(&format!("/books/9/{path}"), &body).await;
    }
    let browser = Browser::start(&system.place, "ko").await;
    // The least ratio of any text that is no longer to be read as inactive (WCAG 2.2, 1.4.3).
    let faint = "(() => {
        const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
            .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
        const behind = (each) => {
            const color = getComputedStyle(each).backgroundColor;
            return /, 0\\)$/.test(color) && each.parentElement ? behind(each.parentElement) : color;
        };
        return [...document.querySelectorAll('body *')]
            .filter((each) => each.checkVisibility() && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
            .map((each) => [each, ...[light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a)])
            .filter(([, more, less]) => (more + 0.05) / (less + 0.05) < 4.5)
            .map(([each, more, less]) => `${each.className} ${each.innerText}: ${(more + 0.05) / (less + 0.05)}`);
    })()";
    for scheme in ["light", "dark"] {
        browser.prefers(&[("prefers-color-scheme", scheme)]).await;
        for (view, shown, name) in [
            ("", "도서 10종", "text-list"),
            ("#/books/9", "왜 177권인가요?", "text-book"),
            ("#/receive", "입고 목록", "text-receive"),
        ] {
            browser.open(&system.gateway(), view).await;
            browser.reload().await;
            browser.sees("main", shown).await;
            browser.picture(&format!("{name}-{scheme}")).await;
            assert_eq!(browser.value(faint, vec![]).await, json!([]), "{view} {scheme}");
        }
    }
    browser.has_no_faults().await;
}

/// Wants that everything that can be used here has a name, and nothing has the name of another.
async fn everything_has_a_name(browser: &Browser, view: &str) -> Vec<(String, String)> {
    let heard = browser.hears().await;
    let nameless: Vec<_> = heard.iter().filter(|(_, name)| name.trim().is_empty()).collect();
    assert_eq!(nameless, Vec::<&(String, String)>::new(), "{view}");
    let twice = "(() => { const ids = [...document.querySelectorAll('[id]')].map((each) => each.id); return ids.filter((id, at) => ids.indexOf(id) !== at); })()";
    assert_eq!(browser.value(twice, vec![]).await, json!([]), "{view}");
    heard
}

#[tokio::test]
async fn everything_that_can_be_used_has_a_name_for_those_who_hear_it() {
    let system = library().await;
    let browser = Browser::start(&system.place, "en").await;
    let is_heard = |heard: &[(String, String)], role: &str, name: &str| {
        assert!(
            heard.iter().any(|(its, named)| its == role && named.contains(name)),
            "{role} {name}: {heard:?}"
        );
    };
    for (view, shown, heard) in [
        (
            "",
            "10 books",
            [
                ("link", "해리 포터와 마법사의 돌"),
                ("searchbox", "Search titles"),
                ("grid", "Books"),
                ("button", "Status: Live"),
            ],
        ),
        (
            "#/books/1",
            "130",
            [
                ("button", "Warehouse"),
                ("link", "All books"),
                ("button", "The whole event"),
                ("button", "한국어로 보기"),
            ],
        ),
        (
            "#/receive",
            "Receiving list",
            [
                ("button", "Choose a file"),
                ("link", "Books"),
                ("link", "bookstock"),
                ("button", "Theme: as the system"),
            ],
        ),
    ] {
        browser.open(&system.gateway(), view).await;
        browser.reload().await;
        browser.sees("main", shown).await;
        browser.sees("[data-status]", "Live").await;
        let all = everything_has_a_name(&browser, view).await;
        for (role, name) in heard {
            is_heard(&all, role, name);
        }
    }
    // The forms: each field by its label, and who opens one stays in it.
    browser.open(&system.gateway(), "#/books/1").await;
    for (form, field) in
        [("warehouse", "Copies that came in"), ("renew", "New edition"), ("correct", "Change in copies")]
    {
        browser.click(&format!("[data-act={form}]")).await;
        let all = everything_has_a_name(&browser, form).await;
        is_heard(&all, "textbox", field);
        browser.press_key(Key::Escape).await;
        browser.misses("dialog").await;
        browser.holds(&format!("document.activeElement.dataset.act === '{form}'")).await;
    }
    browser.press("?").await;
    browser.sees("dialog", "Keyboard").await;
    everything_has_a_name(&browser, "keys").await;
    browser.press_key(Key::Escape).await;
    // The status, with keys alone.
    browser.run("document.querySelector('[data-status]').focus();", vec![]).await;
    browser.press_key(Key::Enter).await;
    browser.sees(".status", "up to date").await;
    everything_has_a_name(&browser, "status").await;
    browser.press_key(Key::Escape).await;
    browser.misses(".status").await;
    browser.holds("document.querySelector('.toasts').getAttribute('aria-live') === 'polite'").await;
    browser.has_no_faults().await;
}

#[tokio::test]
async fn the_page_is_at_the_gateway_alone_and_asks_nobody_else() {
    let system = library().await;
    let page = system.gateway().get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:?}");
    for elsewhere in [system.command_api(), system.query_api(), system.admin()] {
        elsewhere.get("/").await.problem(404, "no-such-route");
    }
    let browser = Browser::start(&system.place, "en").await;
    browser.open(&system.gateway(), "").await;
    browser.sees(".foot", "10 books").await;
    let others = "performance.getEntriesByType('resource').map((each) => new URL(each.name).origin).filter((origin) => origin !== location.origin)";
    assert_eq!(browser.value(others, vec![]).await, json!([]));
    browser.has_no_faults().await;
    // The browser sees to it: what is not a file of the page does not run, and nobody else is asked.
    let try_it = "const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; } catch { script.append('window.ran = true'); }
        try { document.body.append(script); } catch { }
        fetch('http://127.0.0.1:9/').catch(() => {});";
    browser.run(try_it, vec![]).await;
    browser
        .holds("faults.some((each) => each.startsWith('policy: connect-src')) && window.ran === undefined")
        .await;
}
