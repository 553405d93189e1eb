//! The dashboard in a real browser.

use std::time::Duration;

use kol_common::Millis;
use kol_common::net::authority::{Authority, write_secret};
use kol_common::net::{Protection, Role, new_token};
use kol_harness::{Browser, wait_for};
use kol_serve::{Options, Server};
use redis::Commands as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Writer, options, remember, written};

const LIMIT: Duration = Duration::from_secs(30);
/// Markup that would run, a formula for a spreadsheet, and what separates cells and parts of a path.
const HOSTILE: &str = "=1+1,\"/<img src=x onerror=\"window.owned=true\">";

/// A server beside the browser, which waits by itself.
fn serving(options: Options) -> (Runtime, Server) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(options)).unwrap();
    (runtime, server)
}

/// Texts of the first cells of a table.
fn names(browser: &Browser, table: &str) -> Value {
    let script = format!(
        "return [...document.querySelectorAll('{table} tbody th')].map((cell) => cell.innerText)"
    );
    browser.run(&script, &[])
}

fn wait_names(browser: &Browser, table: &str, expected: &[&str]) {
    wait_for(table, LIMIT, || {
        let shown = names(browser, table);
        if shown == json!(expected) {
            return Ok(());
        }
        Err(shown.to_string())
    });
}

fn type_in(browser: &Browser, text: &str) {
    let script = "const field = document.querySelector('#sought'); field.value = arguments[0];
                  field.dispatchEvent(new Event('input'))";
    browser.run(script, &[json!(text)]);
}

#[test]
fn the_dashboard_shows_the_ranking_its_changes_who_rises_who_is_sought_and_a_file() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut redis = written();
    let mut open = redis.connect();
    Writer::new(2).flush(&mut open, &[("tiktok", HOSTILE, 15_000.0, 9_000.0, 4)]);
    remember_places(&mut open);
    let (_runtime, server) = serving(options(redis.url()));
    browser.looks(1280, 900, false);
    browser.open(&format!("http://{}/", server.address()));
    let ranked = ["ann", "bob", "ann.b", "cleo", HOSTILE, "dora", "eve/é"];
    wait_names(&browser, "#ranking", &ranked);
    wait_names(&browser, "#rising", &[HOSTILE, "bob"]);
    browser.wait_text("#rising-note", "2 creators", LIMIT);
    for change in ["▲ 1", "▼ 1", "–", "new"] {
        browser.wait_text("#ranking", change, LIMIT);
    }
    let curve = browser.wait_text("#ranking tbody tr:nth-child(2)", "from ", LIMIT);
    assert!(curve.contains("from 90.00 to 50.00"), "{curve}");
    let drawn = "return document.querySelector('#ranking tbody tr:nth-child(2) svg path').getAttribute('d')";
    let drawn = browser.run(drawn, &[]);
    let drawn = drawn.as_str().unwrap();
    assert!(
        drawn.starts_with("M2.0 2.0h0L") && drawn.ends_with("L98.0 22.0"),
        "{drawn}"
    );
    let spoken = "return [...document.querySelectorAll('#ranking tbody tr')].map((row) => row.cells[2].textContent)";
    let spoken = browser.run(spoken, &[]);
    assert_eq!(
        spoken[1], "▲ 11 place up",
        "the arrow is hidden from readers"
    );
    let facts = browser.wait_text("#facts", "Mean score", LIMIT);
    assert!(facts.contains("Creators\n7"), "{facts}");
    let images = "return [window.owned ?? false, document.images.length]";
    assert_eq!(browser.run(images, &[]), json!([false, 0]));

    type_in(&browser, "ANN");
    wait_names(&browser, "#found-table", &["ann", "ann.b"]);
    browser.look_at("dashboard");
    type_in(&browser, "");

    // Somebody overtakes bob, and a new one is the last.
    let changes = [
        ("tiktok", "ann.b", 27_000.0, 20_000.0, 12),
        ("tiktok", "fay", 700.0, 700.0, 1),
    ];
    Writer::new(0).again(1).flush(&mut open, &changes);
    let ranked = [
        "ann", "ann.b", "bob", "cleo", HOSTILE, "dora", "eve/é", "fay",
    ];
    wait_names(&browser, "#ranking", &ranked);
    let day = "document.querySelector('#since input[value=\"a day ago\"]').click()";
    browser.run(day, &[]);
    browser.wait_text("#rising-note", "gained places since", LIMIT);
    wait_names(&browser, "#rising", &["ann", "ann.b", "cleo"]);

    the_file(&browser, &ranked);
    the_other_platform_and_a_creator(&browser);

    // Of last year, however newly it was written. From then on no ranking that is kept is of an hour ago.
    browser.wait_text("#stale", "The newest event is of 2025", LIMIT);
    browser.wait_text("#connection", "old events", LIMIT);
    let now = Millis::now().iso();
    let () = open.set("streaming:last_event", now).unwrap();
    browser.wait_text("#connection", "live", LIMIT);
    wait_for("nothing stale", LIMIT, || {
        let shown = browser.run(
            "return document.querySelector('#stale').checkVisibility()",
            &[],
        );
        if shown == false {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    });

    redis.down();
    browser.wait_text("#stale", "Redis cannot be read", LIMIT);
    redis.up();
    // It came back empty.
    let new = [("tiktok", "new", 1.0, 1.0, 1)];
    Writer::new(0).flush(&mut redis.connect(), &new);
    wait_names(&browser, "#ranking", &["new"]);
    browser.wait_text("#stale", "The newest event is of 2025", LIMIT);
}

/// Rankings of each hour of a day and of the last one, in which everybody was in another place.
fn remember_places(open: &mut redis::Connection) {
    let day = [
        ("bob", 90.0),
        ("ann", 80.0),
        ("ann.b", 70.0),
        ("cleo", 60.0),
    ];
    for hour in 8..=23 {
        let [first, second, third, fourth] = day;
        let third = if hour % 2 == 0 {
            [third, (HOSTILE, 65.0)]
        } else {
            [(HOSTILE, 72.0), third]
        };
        let creators = [first, second, third[0], third[1], fourth];
        let at = format!("2025-06-30T{hour:02}:00:00.000Z");
        remember(open, "tiktok", &at, &creators);
    }
    let names = ["ann", "ann.b", "bob", "cleo", "dora", "eve/é"];
    let hour = names.map(|kol| (kol, 50.0));
    for at in ["07:55", "08:55"] {
        remember(open, "tiktok", &format!("2025-07-01T{at}:00.000Z"), &hour);
    }
}

/// What is saved is the ranking, and a name is neither a formula nor several cells.
fn the_file(browser: &Browser, ranked: &[&str]) {
    let click = "URL.createObjectURL = (file) => { window.saved = file; return 'blob:none'; };
                 document.querySelector('#download').click()";
    browser.run(click, &[]);
    let read = "const done = arguments[arguments.length - 1]; window.saved.text().then(done)";
    let file = browser.run_until_called(read);
    let lines: Vec<&str> = file.as_str().unwrap().lines().collect();
    assert!(
        lines[0].contains("rank,kol_id,platform,trending_score"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 1 + ranked.len());
    assert!(
        lines[1].starts_with("1,ann,tiktok,84.13,Viral,"),
        "{lines:?}"
    );
    let name = format!("5,\"'{}\",tiktok,", HOSTILE.replace('"', "\"\""));
    assert!(lines[5].starts_with(&name), "{lines:?}");
}

fn the_other_platform_and_a_creator(browser: &Browser) {
    let choose = "document.querySelector('#platforms input[value=youtube]').click()";
    browser.run(choose, &[]);
    wait_names(browser, "#ranking", &["zoe"]);
    // Whoever is sent the address sees the same.
    let hash = browser.run("return location.hash", &[]);
    assert_eq!(hash, "#/platform/youtube");
    browser.run("location.reload()", &[]);
    wait_names(browser, "#ranking", &["zoe"]);
    let shown = browser.text("#ranking");
    assert!(!shown.contains("new"), "{shown}");
    browser.run(
        "document.querySelector('#platforms input[value=tiktok]').click()",
        &[],
    );
    browser.wait_text("#ranking", "eve/é", LIMIT);
    let hostile = "[...document.querySelectorAll('#ranking a')].find((a) => a.innerText.startsWith('=')).click()";
    browser.run(hostile, &[]);
    browser.wait_text("#creator-name", HOSTILE, LIMIT);
    let facts = browser.wait_text("#creator-facts", "Momentum", LIMIT);
    assert!(facts.contains("Rank\n5"), "{facts}");
    browser.wait_text("#creator-note", "On tiktok", LIMIT);
    browser.look_at("dashboard-creator");
    let owned = "return [window.owned ?? false, document.images.length]";
    assert_eq!(browser.run(owned, &[]), json!([false, 0]));
    browser.run("location.hash = '#/kol/tiktok/nobody'", &[]);
    browser.wait_text("#creator-note", "KOL_NOT_FOUND", LIMIT);
    browser.run("location.hash = '#/'", &[]);
    browser.wait_text("#ranking", "ann", LIMIT);
}

#[test]
fn with_login_the_dashboard_wants_a_token_and_shows_nothing_without() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::generate(Millis::now()).unwrap();
    let day = Duration::from_secs(86_400);
    let equipped = authority.equip(folder.path(), &["localhost"], Millis::now(), day);
    equipped.unwrap();
    let (token, line) = new_token("dashboard", Role::Viewer).unwrap();
    write_secret(&folder.path().join("tokens"), &line).unwrap();
    let redis = written();
    let protection = Protection::new(Some(folder.path()), false).unwrap();
    let (_runtime, server) = serving(Options {
        protection,
        ..options(redis.url())
    });
    browser.open(&format!("https://localhost:{}/", server.address().port()));
    browser.wait_text("#login", "Token", LIMIT);
    let hidden = "return document.querySelector('#content').checkVisibility()";
    assert_eq!(browser.run(hidden, &[]), false);
    let enter = |token: &str| {
        let script = "document.querySelector('#token').value = arguments[0];
                      document.querySelector('#login button').click()";
        browser.run(script, &[json!(token)]);
    };
    enter("kol_wrong");
    browser.wait_text("#refused", "token", LIMIT);
    assert_eq!(browser.run(hidden, &[]), false);
    enter(&token);
    browser.wait_text("#ranking", "ann", LIMIT);
}
