//! Several requests at the same time in one instance, where WASI 0.3 allows it and the app wants it.

use std::thread;

use crate::app::{App, Served};
use crate::client::Request;

const APP: &str = r#"
    [functions.shared]
    program = "$GUESTS/app/shared.wasm"
    reuse = 2
    share = 8
    limits = { deadline = "20s" }
    [functions.alone]
    program = "$GUESTS/app/shared.wasm"
    reuse = 2
    grants = { calls = ["alone", "shared"] }
    [functions.hasty]
    program = "$GUESTS/app/shared.wasm"
    reuse = 2
    share = 8
    limits = { deadline = "1s" }
    [[routes]]
    host = "alone"
    path = "/{*rest}"
    function = "alone"
    [[routes]]
    host = "hasty"
    path = "/{*rest}"
    function = "hasty"
    [[routes]]
    path = "/{*rest}"
    function = "shared"
"#;

/// What requests are told that are sent while another one waits.
fn beside(served: &Served, host: &str) -> Vec<String> {
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            served.ask(&Request::new("GET", "/wait?3000").header("host", host)).well();
        });
        let mut told = Vec::new();
        // It has begun sooner or later.
        while !first.is_finished() {
            told.push(served.ask(&Request::new("GET", "/wait?0").header("host", host)).well());
        }
        told
    })
}

#[test]
fn an_instance_answers_others_while_a_request_waits() {
    let served = App::new(APP).serve();
    assert!(beside(&served, "shared").contains(&"2".to_owned()));
    assert!(beside(&served, "alone").iter().all(|told| told == "1"));
}

#[test]
fn one_that_does_not_end_is_stopped_and_the_next_is_answered() {
    let served = App::new(APP).serve();
    for path in ["/loop", "/wait?60000", "/loop"] {
        let late = served.ask(&Request::new("GET", path).header("host", "hasty"));
        assert_eq!((late.status, late.text().as_str()), (504, "function `hasty` did not answer in time\n"));
    }
    assert_eq!(served.get("/trap").status, 500);
    served.says("shared |   at std::process::abort\n");
    assert_eq!(served.get("/wait?0").well(), "1");
}

#[test]
fn instances_of_wasi_0_3_call_each_other() {
    let served = App::new(APP).serve();
    let ask = |path: &str| served.ask(&Request::new("GET", path).header("host", "alone"));
    assert_eq!(ask("/call?shared.sampan.internal/wait?1").well(), "1");
    assert_eq!(ask("/call?alone.sampan.internal/wait?1").well(), "1");
    let twice = "/call?alone.sampan.internal/call?shared.sampan.internal/wait?1";
    assert_eq!(ask(twice).well(), "1");
}

#[test]
fn what_cannot_share_is_refused() {
    for (program, more) in [("hello", ""), ("guard", "middleware = [\"lone\"]"), ("step", "")] {
        let (code, said) = App::new(&format!(
            "[functions.lone]\nprogram = \"$GUESTS/app/{program}.wasm\"\nreuse = 1\nshare = 2\n\
             [functions.hello]\nprogram = \"$GUESTS/app/hello.wasm\"\n\
             [[routes]]\npath = \"/\"\nfunction = \"hello\"\n{more}"
        ))
        .refused();
        assert_eq!(code, Some(2), "{program}: {said}");
        assert!(said.contains("can share") && said.contains("share = 2"), "{program}: {said}");
    }
}
