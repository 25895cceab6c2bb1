//! What a function may reach is what it was granted: not the buckets, blobs, environment or secrets of another, nor those
//! of the node, nor the SQL database of its app; and a secret is seen by nobody else.

use std::collections::BTreeSet;

use crate::app::{App, Served};
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

/// Functions that are the same program, each with other grants; the host of a request says which is asked.
const VAULTS: &str = r#"
    [functions.mine]
    program = "$GUESTS/app/vault.wasm"
    grants = { blobs = ["mine"], sql = true }
    [functions.yours]
    program = "$GUESTS/app/vault.wasm"
    grants = { blobs = ["yours"], buckets = ["mine"] }
    [functions.none]
    program = "$GUESTS/app/vault.wasm"
    [blobs.mine]
    [blobs.yours]
    [buckets.mine]
    [[routes]]
    host = "mine"
    path = "/{*rest}"
    function = "mine"
    [[routes]]
    host = "yours"
    path = "/{*rest}"
    function = "yours"
    [[routes]]
    host = "none"
    path = "/{*rest}"
    function = "none"
"#;

/// What a function answers.
#[track_caller]
fn asked(served: &Served, function: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer = served.ask(&Request::new(method, path).header("host", function).body(body.as_bytes()));
    (answer.status, answer.text())
}

#[test]
fn a_function_without_sql_is_denied_it() {
    // The files of the database stay while others are opened.
    let app = App::new(VAULTS);
    let served = app.serve();
    let run = |function, verb, statement: &str| {
        asked(&served, function, "POST", &format!("/sql/{verb}"), statement)
    };
    let made = format!("create table secrets as select '{FROM_ENV}' as name");
    assert_eq!(run("mine", "execute", &made), (200, "0".to_owned()));
    for function in ["yours", "none"] {
        for (verb, statement) in [
            ("query", "select name from secrets".to_owned()),
            ("query", "select 1".to_owned()),
            ("execute", format!("insert into secrets values ('{FROM_FILE}')")),
            ("execute", "drop table secrets".to_owned()),
            ("batch", "delete from secrets".to_owned()),
            ("query", "no statement".to_owned()),
        ] {
            let denied = run(function, verb, &statement);
            assert_eq!(denied, (400, "Error::Denied".to_owned()), "{function} {verb} {statement}");
        }
        served.says(&format!("{function} | it was denied the SQL database; `sql = true` grants it"));
    }
    assert_eq!(run("mine", "query", "select name from secrets"), (200, FROM_ENV.to_owned()));
    keeps_secrets("its log", &served.stop());
}

#[test]
fn a_function_reaches_only_its_own_blobs() {
    let served = App::new(VAULTS).serve();
    let functions = [("mine", FROM_ENV), ("yours", FROM_FILE)];
    for (name, secret) in functions {
        // Of the same name, in both.
        let path = format!("/blobs/{name}/object");
        assert_eq!(asked(&served, name, "PUT", &path, secret), (200, String::new()));
        assert_eq!(asked(&served, name, "GET", &path, ""), (200, secret.to_owned()));
    }
    for (function, container) in [
        ("mine", "yours"),
        ("yours", "mine"),
        ("none", "mine"),
        ("none", "yours"),
        // What is not there is denied in the same words: nobody learns which names there are.
        ("mine", "nothing"),
        ("mine", "Mine"),
        ("mine", "mine%00"),
        ("mine", ".mine"),
        ("mine", ""),
    ] {
        let denied = (400, format!("it was denied the container `{container}`"));
        for method in ["GET", "PUT", "DELETE"] {
            let path = format!("/blobs/{container}/object");
            assert_eq!(asked(&served, function, method, &path, "x"), denied, "{function} {method} {path}");
        }
        for verb in ["create", "exists", "list", "delete"] {
            let path = format!("/{verb}/{container}");
            assert_eq!(asked(&served, function, "POST", &path, ""), denied, "{function} {path}");
        }
        for verb in ["copy", "move"] {
            let own = if function == "none" { container } else { function };
            for (from, to) in [(own, container), (container, own)] {
                let (path, to) = (format!("/{verb}/{from}/object"), format!("{to}/stolen"));
                assert_eq!(asked(&served, function, "POST", &path, &to), denied, "{function} {path} {to}");
            }
        }
    }
    for (name, secret) in functions {
        let object = asked(&served, name, "GET", &format!("/blobs/{name}/object"), "");
        assert_eq!(object, (200, secret.to_owned()));
        assert_eq!(asked(&served, name, "POST", &format!("/list/{name}"), ""), (200, "object".to_owned()));
        assert_eq!(asked(&served, name, "POST", &format!("/exists/{name}"), ""), (200, "true".to_owned()));
    }
    served.says("mine | it was denied the container `yours`; `blobs = [\"yours\"]` grants it");
    keeps_secrets("its log", &served.stop());
}
