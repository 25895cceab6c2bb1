//! `sampan serve --watch` when the manifest changes: what it says is served from then on, and nothing that was begun is
//! lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::app::{App, Served};
use crate::client::Request;
use crate::websocket::{enter, is_left};
use crate::{PAUSE, WAIT};

const APP: &str = r#"
    [functions.shelf]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["carts"] }
    limits = { deadline = "60s" }
    [functions.chat]
    program = "$GUESTS/app/chat.wasm"
    grants = { buckets = ["members"] }
    limits = { deadline = "60s" }
    [functions.cgi]
    program = "$GUESTS/p1/cgi.wasm"
    limits = { deadline = "60s", body = "1K" }
    [buckets.carts]
    durability = "memory"
    [buckets.members]
    durability = "memory"
    [[routes]]
    path = "/chat/{room}"
    function = "chat"
    websocket = true
    [[routes]]
    path = "/cgi/{*rest}"
    function = "cgi"
    [[routes]]
    path = "/{*rest}"
    function = "shelf"
"#;

fn watched() -> App {
    App::new(APP).flags(&["--watch", "--console", "off"])
}

/// Gives the app another manifest, and returns when it is served.
#[track_caller]
fn change(app: &App, served: &Served, version: &str, manifest: &str) {
    app.change(version, manifest);
    served.says(&format!("sampan: tested {version} is new"));
}

fn put<'a>(path: &'a str, value: &'a str) -> Request<'a> {
    Request::new("PUT", path).body(value.as_bytes())
}

#[test]
fn what_a_changed_manifest_says_is_served() {
    let app = watched();
    let served = app.serve();
    let mut connection = served.connect();
    connection.ask(&put("/carts/ada", "apples")).well();
    assert_eq!(connection.ask(&put("/orders/1", "one")).status, 403);
    let large = [b'x'; 2000];
    let large = || Request::new("POST", "/cgi/echo").body(&large);
    assert_eq!(served.ask(&large()).status, 413);
    assert_eq!(connection.ask(&Request::new("POST", "/count")).status, 403);

    // A bucket, a chain, a route and a limit.
    let more =
        APP.replace(r#"["carts"]"#, r#"["carts", "orders"]"#).replace("body = \"1K\"", "body = \"4K\"")
            + r#"
            [buckets.orders]
            [chains.count]
            steps = [{ name = "count", call = "cgi" }]
            [[routes]]
            path = "/count"
            chain = "count"
        "#;
    change(&app, &served, "0.2.0", &more);
    connection.ask(&put("/orders/1", "one")).well();
    assert_eq!(connection.ask(&Request::new("GET", "/carts/ada")).well(), "apples");
    assert_eq!(served.ask(&large()).status, 200);
    let counted = Request::new("POST", "/count").header("content-type", "text/plain").body(b"12345");
    assert_eq!(connection.ask(&counted).well(), "{\"bytes\":5}");

    // And without them again, and without a function.
    let (before, rest) = APP.split_once("[functions.cgi]").expect("it is there");
    let after = &rest[rest.find("[buckets.carts]").expect("it is there")..];
    let fewer = format!("{before}{after}").replace("path = \"/cgi/{*rest}\"", "path = \"/c/{*rest}\"");
    change(&app, &served, "0.3.0", &fewer.replace("function = \"cgi\"", "function = \"shelf\""));
    assert_eq!(connection.ask(&put("/orders/1", "one")).status, 403);
    assert_eq!(connection.ask(&counted).status, 403);
    assert_eq!(connection.ask(&Request::new("GET", "/carts/ada")).well(), "apples");
}

#[test]
fn nothing_that_was_begun_is_lost() {
    let app = watched();
    let served = app.serve();
    let mut begun = served.connect();
    begun.send(b"PUT /carts/late HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    begun.send_chunk(b"begun ");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for name in ["/carts/a", "/carts/b"] {
            let (served, is_over) = (&served, &is_over);
            scope.spawn(move || {
                let mut connection = served.connect();
                while !is_over.load(Ordering::Relaxed) {
                    connection.ask(&put(name, "value")).well();
                    served.text(name);
                }
            });
        }
        for version in ["0.2.0", "0.3.0", "0.4.0"] {
            change(&app, &served, version, &APP.replace("body = \"1K\"", "body = \"2K\""));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    begun.send_chunk(b"before");
    begun.send_chunk(b"");
    begun.answer().well();
    assert_eq!(served.text("/carts/late"), "begun before");
}

#[test]
fn a_websocket_ends_with_the_function_that_it_began_with() {
    let app = watched();
    let guests = std::env::var("SAMPAN_GUESTS").expect("$SAMPAN_GUESTS is set: run `cargo xtask test`");
    let copy = |guest: &str, name: &str| std::fs::copy(format!("{guests}/{guest}"), app.path(name));
    let mut manifest = APP.replace(r#"["carts"]"#, r#"["carts", "members"]"#);
    for (guest, name) in [("app/chat.wasm", "chat.wasm"), ("p1/cgi.wasm", "cgi.wasm")] {
        copy(guest, name).expect("it is copied");
        manifest = manifest.replace(&format!("$GUESTS/{guest}"), name);
    }
    app.change("0.1.1", &manifest);
    let served = app.serve();
    // 1012 says that a service restarts: clients come again.
    let mut member = enter(&served, "red").expect("open");
    change(&app, &served, "0.2.0", &manifest.replace("body = \"1K\"", "body = \"2K\""));
    assert_eq!(member.closes(), Some(1012));
    is_left(&served);

    let mut member = enter(&served, "red").expect("open");
    copy("app/chat.wasm", "chat.wasm").expect("it is copied");
    served.says("sampan: chat is new");
    assert_eq!(member.closes(), Some(1012));
    is_left(&served);

    // Another function is none of its affairs.
    let mut member = enter(&served, "red").expect("open");
    copy("p1/cgi.wasm", "cgi.wasm").expect("it is copied");
    served.says("sampan: cgi is new");
    member.say("hello");
    member.hears("hello");
}

#[test]
fn a_manifest_that_cannot_be_meant_changes_nothing() {
    let app = watched();
    let served = app.serve();
    served.ask(&put("/carts/ada", "apples")).well();
    for (manifest, error) in [
        (APP.replace("function = \"cgi\"", "function = \"cgj\""), "no function `cgj`"),
        (APP.replace("p1/cgi.wasm", "p1/none.wasm"), "cannot load function `cgi`"),
        (APP.replace("durability = \"memory\"", "durability = \"disk\""), "keep its durability"),
    ] {
        app.change("0.2.0", &manifest);
        served.says(error);
        served.says("sampan: the app is served as it was");
        assert_eq!(served.text("/carts/ada"), "apples");
    }
    app.change("0.2.0", &APP.replace("[functions", "[[functions"));
    change(&app, &served, "0.3.0", APP);
    assert_eq!(served.text("/carts/ada"), "apples");
    assert!(!served.said().contains("0.2.0 is new"), "{}", served.said());
}

#[test]
fn another_app_is_not_taken_for_this_one() {
    let app = watched();
    let served = app.serve();
    let text = std::fs::read_to_string(app.path("sampan.toml")).expect("it is there");
    std::fs::write(app.path("sampan.toml"), text.replace("\"tested\"", "\"other\""))
        .expect("a file is written");
    served.says("this is `other`, not the app `tested` that is served");
    served.says("sampan: the app is served as it was");
    served.ask(&put("/carts/ada", "apples")).well();
}

/// An instance holds its directories open as long as it is there. What has begun may go on until its deadline.
#[test]
fn what_a_new_manifest_replaced_is_given_up() {
    const GUARDED: &str = r#"
        [functions.guard]
        program = "$GUESTS/app/guard.wasm"
        grants = { dirs = ["before:/data"] }
        reuse = 4
        limits = { deadline = "5s" }
        [functions.cgi]
        program = "$GUESTS/p1/cgi.wasm"
        limits = { deadline = "5s" }
        [[routes]]
        path = "/{*rest}"
        function = "cgi"
        middleware = ["guard"]
    "#;
    let app =
        App::new(GUARDED).flags(&["--watch", "--console", "off"]).file("before/a", "").file("after/a", "");
    let (before, after) = (app.path("before"), app.path("after"));
    let served = app.serve();
    let ask = || {
        let request = Request::new("POST", "/echo").header("authorization", "me").body(b"body");
        assert_eq!(served.ask(&request).well(), "body");
    };
    ask();
    assert!(served.holds(&before), "an instance is kept warm");
    change(&app, &served, "0.2.0", &GUARDED.replace("before", "after"));
    ask();
    let end = Instant::now() + WAIT;
    while served.holds(&before) {
        assert!(Instant::now() < end, "what was replaced is still there");
        thread::sleep(PAUSE);
    }
    assert!(served.holds(&after));
}
