//! What a function may reach is what it was granted: not the buckets, the environment or the secrets of another, nor those
//! of the node; and a secret is seen by nobody else.

use std::collections::BTreeSet;

use crate::app::App;
use crate::client::{Connection, Request};

const APP: &str = r#"
    [functions.mine]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["mine"] }
    [functions.yours]
    program = "$GUESTS/app/shelf.wasm"
    grants = { buckets = ["yours"] }
    [functions.teller]
    program = "$GUESTS/app/lab.wasm"
    env = { COLOUR = "green" }
    [functions.teller.secrets]
    FROM_ENV = { env = "TESTED_TOKEN" }
    FROM_FILE = { file = "secrets/token" }
    [functions.other]
    program = "$GUESTS/app/lab.wasm"
    limits = { memory = "16M" }
    [buckets.mine]
    [buckets.yours]
    [chains.all]
    steps = [{ name = "one", call = "teller" }]
    [[routes]]
    path = "/mine/{*rest}"
    function = "mine"
    [[routes]]
    path = "/yours/{*rest}"
    function = "yours"
    [[routes]]
    host = "mine"
    path = "/{*rest}"
    function = "mine"
    [[routes]]
    host = "other"
    path = "/{*rest}"
    function = "other"
    [[routes]]
    path = "/chain"
    chain = "all"
    [[routes]]
    path = "/{*rest}"
    function = "teller"
"#;

const FROM_ENV: &str = "tulip-3141592653";
const FROM_FILE: &str = "orchid-2718281828";

fn app() -> App {
    App::new(APP).env("TESTED_TOKEN", FROM_ENV).file("secrets/token", &format!("{FROM_FILE}\n"))
}

#[test]
fn a_function_reaches_only_its_own_buckets() {
    let served = app().serve();
    for name in ["mine", "yours"] {
        let path = format!("/{name}/key");
        assert_eq!(served.ask(&Request::new("PUT", &path).body(name.as_bytes())).well(), "");
        assert_eq!(served.text(&path), name);
    }
    for name in ["yours", "Mine", "mine%00", ".mine", "tested/mine", "tested/yours"] {
        let path = format!("/{name}/key");
        for method in ["GET", "PUT", "DELETE", "POST"] {
            let denied = served.ask(&Request::new(method, &path).header("host", "mine").body(b"stolen"));
            assert_eq!((denied.status, denied.text().as_str()), (403, "no such store"), "{method} {path}");
        }
    }
    assert_eq!(served.text("/yours/key"), "yours");
}

#[test]
fn a_function_sees_only_its_own_environment_and_secrets() {
    let served = app().serve();
    let told = served.text("/variables");
    let expected = format!("COLOUR=green\nFROM_ENV={FROM_ENV}\nFROM_FILE={FROM_FILE}\n");
    assert_eq!(told, expected);
    assert_eq!(served.ask(&Request::new("GET", "/variables").header("host", "other")).well(), "");
}

#[test]
fn a_secret_is_in_no_log_error_or_page() {
    let served = app().flags(&["--console", "127.0.0.1:0"]).serve();
    served.says("console on http://");
    for path in ["/trap", "/silent", "/allocate", "/say?something", "/nothing"] {
        served.get(path);
    }
    served.ask(&Request::new("POST", "/chain").header("content-type", "application/json").body(b"1"));
    let said = served.said();
    let console = said.split_once("console on http://").and_then(|(_, rest)| rest.split(['\n', '/']).next());
    let console = console.and_then(|address| address.parse().ok()).expect("an address");

    let mut known = BTreeSet::from(["/".to_owned(), "/metrics".to_owned(), "/functions/teller".to_owned()]);
    let mut unread: Vec<String> = known.iter().cloned().collect();
    while let Some(path) = unread.pop() {
        let mut connection = Connection::open(console);
        connection.send(&Request::new("GET", &path).header("host", &console.to_string()).bytes());
        let answer = connection.head();
        // A stream of events has no end.
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            continue;
        }
        let body = String::from_utf8_lossy(&connection.body(&answer).expect("a page")).into_owned();
        keeps_secrets(&path, &body);
        let links = body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for link in links.filter(|link| link.starts_with('/')).map(|link| link.replace("&amp;", "&")) {
            if known.len() < 300 && known.insert(link.clone()) {
                unread.push(link);
            }
        }
    }
    assert!(known.len() > 5, "only these pages were found: {known:?}");
    keeps_secrets("its log", &served.stop());
}

#[track_caller]
fn keeps_secrets(place: &str, text: &str) {
    for secret in [FROM_ENV, FROM_FILE] {
        assert!(!text.contains(secret), "{place} tells `{secret}`:\n{text}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_named_and_not_told() {
    let (code, said) = App::new(APP).file("secrets/token", FROM_FILE).refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the environment variable `TESTED_TOKEN` is not set"), "{said}");
    keeps_secrets("the error", &said);

    let (code, said) = App::new(APP).env("TESTED_TOKEN", FROM_ENV).refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot read the secret in `secrets/token`"), "{said}");
    keeps_secrets("the error", &said);
}

#[test]
fn nothing_is_left_in_memory_for_the_next_instance() {
    // The pool gives the memory of one function to another, and it is to be as new.
    let served = app().serve();
    for round in 0..20 {
        let secret = format!("/remember?{FROM_ENV}{round}");
        assert_eq!(served.text(&secret), "");
        assert_eq!(served.ask(&Request::new("GET", "/remember?x").header("host", "other")).well(), "");
        if round % 5 == 0 {
            assert_eq!(served.ask(&Request::new("GET", "/allocate").header("host", "other")).status, 500);
        }
    }
}
