//! What becomes of an instance: nothing is left of it, or what its app wants to be left; and whatever it does, others do
//! not notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::{Connection, Request};

#[test]
fn each_request_has_an_instance_of_its_own() {
    let served = App::new(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        [[routes]]
        path = "/{*rest}"
        function = "lab"
        "#,
    )
    .serve();
    let mut connection = served.connect();
    for word in ["one", "two", "three"] {
        assert_eq!(connection.ask(&Request::new("GET", &format!("/remember?{word}"))).well(), "");
        assert_eq!(served.text(&format!("/remember?{word}")), "");
    }
}

#[test]
fn a_warm_instance_remembers_and_shares_with_no_other_function() {
    // With one call at a time, the next call waits until the instance is back.
    let function = r#"
        program = "$GUESTS/app/lab.wasm"
        reuse = 1
        limits = { concurrency = 1, deadline = "60s", memory = "16M" }
    "#;
    let served = App::new(&format!(
        "[functions.one]\n{function}\n[functions.two]\n{function}
         [[routes]]\nhost = \"one\"\npath = \"/{{*rest}}\"\nfunction = \"one\"
         [[routes]]\nhost = \"two\"\npath = \"/{{*rest}}\"\nfunction = \"two\""
    ))
    .serve();
    let ask = |host, path: &str| served.ask(&Request::new("GET", path).header("host", host));
    assert_eq!(ask("one", "/remember?a").well(), "");
    assert_eq!(ask("one", "/remember?b").well(), "a");
    assert_eq!(ask("two", "/remember?c").well(), "");
    assert_eq!(ask("one", "/remember?d").well(), "b");
    assert_eq!(ask("two", "/remember?e").well(), "c");
    // An instance that failed is not used again.
    for failure in ["/trap", "/allocate"] {
        assert_eq!(ask("one", failure).status, 500);
        assert_eq!(ask("one", "/remember?f").well(), "", "after {failure}");
        assert_eq!(ask("one", "/remember?g").well(), "f");
    }
    // Nor one whose client went away in the middle.
    let mut gone = served.connect();
    gone.send(&Request::new("GET", "/stream?10000000").header("host", "one").bytes());
    assert_eq!(gone.head().status, 200);
    drop(gone);
    assert_eq!(ask("one", "/remember?h").well(), "");
    assert_eq!(ask("two", "/remember?i").well(), "e");
}

#[test]
fn each_call_of_a_warm_instance_has_all_its_fuel() {
    let served = App::new(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        reuse = 1
        limits = { concurrency = 1, fuel = 1000000 }
        [[routes]]
        path = "/{*rest}"
        function = "lab"
        "#,
    )
    .serve();
    let mut connection = served.connect();
    // Together they take more than one call may.
    for number in 0..1_000 {
        assert_eq!(connection.ask(&Request::new("GET", "/remember?a")).status, 200, "{number}");
    }
    assert_eq!(connection.ask(&Request::new("GET", "/loop")).status, 500);
    served.says("fuel limit");
}

#[test]
fn a_function_that_could_not_be_stopped_is_refused() {
    let (code, said) = App::new(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        options = { interrupt = "none" }
        "#,
    )
    .refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("must be one that can be stopped"), "{said}");
}

#[test]
fn a_function_that_is_not_trusted_is_refused() {
    let app = App::new(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        profile = "trusted"
        "#,
    );
    let (code, said) = app.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`lab` is not trusted"), "{said}");
    assert!(said.contains("sampan trust add"), "{said}");
}

#[test]
fn a_function_of_wasi_0_3_answers_fresh_and_warm() {
    let served = App::new(
        r#"
        [functions.fresh]
        program = "$GUESTS/app/hello3.wasm"
        [functions.warm]
        program = "$GUESTS/app/hello3.wasm"
        reuse = 4
        [[routes]]
        path = "/fresh"
        function = "fresh"
        [[routes]]
        path = "/warm"
        function = "warm"
        "#,
    )
    .serve();
    for _ in 0..10 {
        assert_eq!(served.text("/fresh"), "hello\n");
        assert_eq!(served.text("/warm"), "hello\n");
    }
}

const LIMITED: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { memory = "16M", deadline = "60s" }
    [functions.hasty]
    program = "$GUESTS/app/lab.wasm"
    limits = { deadline = "3s" }
    [functions.frugal]
    program = "$GUESTS/app/lab.wasm"
    limits = { fuel = 100000000 }
    [[routes]]
    path = "/{*rest}"
    function = "lab"
    [[routes]]
    host = "hasty"
    path = "/{*rest}"
    function = "hasty"
    [[routes]]
    host = "frugal"
    path = "/{*rest}"
    function = "frugal"
"#;

#[test]
fn a_failure_is_told_to_the_log_and_not_to_the_client() {
    let served = App::new(LIMITED).serve();
    for (host, path, status, answer, log) in [
        ("a", "/trap", 500, "function `lab` failed; its log says why\n", "lab::trap"),
        (
            "a",
            "/allocate",
            500,
            "function `lab` failed; its log says why\n",
            "memory limit of 16777216 bytes",
        ),
        (
            "a",
            "/silent",
            500,
            "function `lab` failed; its log says why\n",
            "lab | it ended without an answer",
        ),
        ("frugal", "/loop", 500, "function `frugal` failed; its log says why\n", "fuel limit of 100000000"),
        (
            "hasty",
            "/loop",
            504,
            "function `hasty` did not answer in time\n",
            "hasty | the deadline has passed",
        ),
        ("hasty", "/sleep?3600000", 504, "function `hasty` did not answer in time\n", "hasty | the deadline"),
    ] {
        let found = served.ask(&Request::new("GET", path).header("host", host));
        assert_eq!((found.status, found.text().as_str()), (status, answer), "{host}{path}");
        served.says(log);
        // The next request is as if nothing had been.
        let next = Request::new("POST", "/length").header("host", host).body(b"next");
        assert_eq!(served.ask(&next).well(), "4", "after {host}{path}");
    }
}

#[test]
fn an_answer_that_was_begun_breaks_off_at_the_deadline() {
    let served = App::new(LIMITED).serve();
    let mut connection = served.connect();
    connection.send(&Request::new("GET", "/stream?10000000").header("host", "hasty").bytes());
    let answer = connection.head();
    assert_eq!(answer.status, 200);
    // The client can tell that this is not all.
    assert_eq!(connection.body(&answer), None);
}

const NEIGHBOURS: &str = r#"
    [functions.hello]
    program = "$GUESTS/app/hello.wasm"
    limits = { deadline = "60s" }
    [functions.bad]
    program = "$GUESTS/app/lab.wasm"
    limits = { memory = "16M", deadline = "1s", concurrency = 8, queue = 100 }
    [[routes]]
    path = "/hello"
    function = "hello"
    [[routes]]
    path = "/{*rest}"
    function = "bad"
"#;

#[test]
fn bad_neighbours_are_not_noticed() {
    let served = App::new(NEIGHBOURS).serve();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for (path, statuses) in [
            ("/loop", [504, 504].as_slice()),
            ("/loop", &[504]),
            ("/loop", &[504]),
            ("/loop", &[504]),
            // These may come to their end too late: the machine is busy.
            ("/allocate", &[500, 504]),
            ("/trap", &[500, 504]),
        ] {
            let (served, done) = (&served, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let status = served.get(path).status;
                    assert!(statuses.contains(&status), "{path}: {status}");
                }
            });
        }
        // They have begun: one of them has failed.
        while !served.said().contains("bad | ") {
            assert_eq!(served.text("/hello"), "hello\n");
        }
        let mut connection = served.connect();
        for _ in 0..200 {
            assert_eq!(connection.ask(&Request::new("GET", "/hello")).well(), "hello\n");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Functions without an end, one for each way in which they are stopped.
const ENDLESS: &str = r#"
    [functions.hello]
    program = "$GUESTS/app/hello.wasm"
    reuse = 4
    limits = { deadline = "60s" }
    [functions.signal]
    program = "loop.wat"
    options = { interrupt = "signal" }
    limits = { deadline = "300ms" }
    [functions.tail]
    program = "tail.wat"
    options = { interrupt = "signal" }
    limits = { deadline = "300ms" }
    [functions.epoch]
    program = "loop.wat"
    options = { interrupt = "epoch" }
    limits = { deadline = "300ms" }
    [functions.fuel]
    program = "loop.wat"
    options = { interrupt = "fuel" }
    limits = { deadline = "300ms" }
    [functions.fill]
    program = "fill.wat"
    options = { interrupt = "signal" }
    limits = { deadline = "300ms" }
    [[routes]]
    path = "/hello"
    function = "hello"
    [[routes]]
    path = "/signal"
    function = "signal"
    [[routes]]
    path = "/tail"
    function = "tail"
    [[routes]]
    path = "/epoch"
    function = "epoch"
    [[routes]]
    path = "/fuel"
    function = "fuel"
    [[routes]]
    path = "/fill"
    function = "fill"
"#;

#[test]
fn whatever_a_function_does_it_is_stopped() {
    let app = App::new(ENDLESS)
        .file("loop.wat", "(module (func (export \"_start\") (loop (br 0))))")
        .file("tail.wat", "(module (func $on (export \"_start\") (return_call $on)))")
        .file(
            "fill.wat",
            "(module (memory 64) (func (export \"_start\")
                (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x400000)) (br 0))))",
        );
    let served = app.serve();
    thread::scope(|scope| {
        for path in ["/signal", "/tail", "/epoch", "/fuel", "/fill"] {
            // More of each than there are threads.
            for _ in 0..3 {
                let served = &served;
                scope.spawn(move || assert_eq!(served.get(path).status, 504, "{path}"));
            }
        }
        for _ in 0..20 {
            assert_eq!(served.text("/hello"), "hello\n");
        }
    });
}

const NARROW: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { concurrency = 1, queue = 1, deadline = "60s" }
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

#[test]
fn who_finds_the_queue_full_is_told_to_come_again() {
    let served = App::new(NARROW).serve();
    let running = stream(&served);
    // One of these two waits, and the other finds the queue full, whichever came first.
    let (answers, answered) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (answers, mut connection) = (answers.clone(), served.connect());
            scope.spawn(move || answers.send(connection.ask(&Request::new("GET", "/length"))));
        }
        let refused = answered.recv_timeout(WAIT).expect("an answer");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
        drop(running);
        assert_eq!(answered.recv_timeout(WAIT).expect("an answer").well(), "0");
    });
    assert_eq!(served.text("/length"), "0");
}

const AWAITED: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { concurrency = 1, deadline = "60s" }
    [functions.hasty]
    program = "$GUESTS/app/caller.wasm"
    grants = { calls = ["lab"] }
    limits = { deadline = "300ms" }
    [[routes]]
    path = "/hasty"
    function = "hasty"
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

#[test]
fn who_waits_past_the_deadline_is_not_begun() {
    let served = App::new(AWAITED).serve();
    let running = stream(&served);
    // The place is taken for longer than the caller has.
    assert_eq!(served.get("/hasty?http://lab.sampan.internal/say?something").status, 504);
    drop(running);
    assert_eq!(served.text("/length"), "0");
    assert!(!served.stop().contains("said something"));
}

/// An answer that has no end; it runs when this returns.
#[track_caller]
fn stream(served: &Served) -> Connection {
    let mut connection = served.connect();
    connection.send(&Request::new("GET", "/stream?10000000").bytes());
    assert_eq!(connection.head().status, 200);
    connection
}
