//! Processes of sealed functions that nobody calls: they are frozen, and nobody who calls or ends them notices.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use crate::app::{App, Served};
use crate::client::{Connection, Request};
use crate::console::serve;
use crate::{PAUSE, WAIT};

/// A function whose process is frozen as soon as may be.
const APP: &str = r#"
    [functions.alone]
    program = "$GUESTS/app/lab.wasm"
    profile = "sealed"
    reuse = 1
    freeze = "1ms"
    limits = { deadline = "2s" }
    [[routes]]
    path = "/{*rest}"
    function = "alone"
"#;

/// What a process does, as the system says: `T` for one that is stopped.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until so many sealed processes are frozen; all of them.
#[track_caller]
fn frozen(served: &Served, count: usize) -> Vec<u32> {
    let begun = Instant::now();
    loop {
        let all = served.descendants();
        let sealed = all.get(1..).unwrap_or_default();
        if sealed.len() == count && sealed.iter().all(|pid| state(*pid) == Some('T')) {
            return sealed.to_vec();
        }
        assert!(begun.elapsed() < WAIT, "{all:?}: {}", served.said());
        thread::sleep(PAUSE);
    }
}

#[track_caller]
fn comes_to_show(console: SocketAddr, line: &str) {
    let begun = Instant::now();
    while let metrics = Connection::open(console).ask(&Request::new("GET", "/metrics")).well()
        && !metrics.contains(line)
    {
        assert!(begun.elapsed() < WAIT, "`{line}` is not in {metrics}");
        thread::sleep(PAUSE);
    }
}

#[test]
fn a_process_that_nobody_calls_is_frozen_and_the_next_call_goes_on_in_it() {
    let (served, console, _) = serve(App::new(APP), "127.0.0.1:0");
    let first = frozen(&served, 1);
    for _ in 0..3 {
        comes_to_show(console, "sampan_frozen_processes{function=\"alone\"} 1\n");
        // Its warm instance is given up.
        comes_to_show(console, "sampan_warm_instances{function=\"alone\"} 0\n");
        assert_eq!(served.get("/remember?a").well(), "");
        assert_eq!(frozen(&served, 1), first, "{}", served.said());
    }
    // A body that does not fit into a message goes another way.
    let body = vec![7; 1_000_000];
    assert_eq!(served.ask(&Request::new("POST", "/length").body(&body)).well(), "1000000");
    comes_to_show(console, "sampan_instances_total{function=\"alone\"} 4\n");
}

#[test]
fn no_call_is_cut_by_the_frost() {
    let served = App::new(&APP.replace("deadline = \"2s\"", "deadline = \"5s\"")).serve();
    // As long as it takes to be frozen once a call has ended, and nearly as long as it may.
    for _ in 0..3 {
        assert_eq!(served.get("/sleep?3500").status, 200, "{}", served.said());
    }
}

#[test]
fn one_that_is_frozen_is_not_taken_for_one_that_hangs() {
    let hangs = "[functions.hangs]\nprogram = \"$GUESTS/app/lab.wasm\"\nprofile = \"sealed\"\n";
    let served = App::new(&format!("{APP}{hangs}")).serve();
    // Which of them is frozen is known by that: the other one is stopped only now.
    let begun = Instant::now();
    let [process, other] = loop {
        let all = served.descendants()[1..].to_vec();
        let frozen: Vec<_> = all.iter().filter(|pid| state(**pid) == Some('T')).collect();
        if let ([process], [one, other]) = (&*frozen, &*all) {
            break if *process == one { [*one, *other] } else { [*other, *one] };
        }
        assert!(begun.elapsed() < WAIT, "{}", served.said());
        thread::sleep(PAUSE);
    };
    crate::sealed::signal(other, "STOP");
    served.says("hangs | its process said nothing for 10s, and is ended\n");
    assert_eq!(served.get("/remember?a").well(), "");
    assert_eq!(frozen(&served, 1), [process], "{}", served.said());
}

#[test]
fn one_that_is_frozen_ends_with_its_node_or_when_it_is_replaced() {
    for by in ["TERM", "KILL"] {
        let mut served = App::new(APP).serve();
        let process = frozen(&served, 1)[0];
        served.signal(by);
        served.ended();
        ends(process);
    }
    let app = App::new(APP).flags(&["--console", "off", "--watch"]);
    let served = app.serve();
    let process = frozen(&served, 1)[0];
    app.change("0.2.0", &APP.replace("reuse = 1", "reuse = 2"));
    ends(process);
    assert_ne!(frozen(&served, 1)[0], process);
    assert_eq!(served.get("/remember?a").well(), "");
}

#[test]
fn one_that_dies_frozen_is_told_of_and_replaced() {
    let served = App::new(&APP.replace("reuse = 1", "spare = 1")).serve();
    let all = frozen(&served, 2);
    for process in &all {
        crate::sealed::signal(*process, "KILL");
        ends(*process);
    }
    served.says("alone | its process was ended by signal 9\n");
    crate::sealed::answers_again(&served);
    assert!(frozen(&served, 2).iter().all(|process| !all.contains(process)));
}

#[track_caller]
fn ends(process: u32) {
    let begun = Instant::now();
    while !matches!(state(process), None | Some('Z')) {
        assert!(begun.elapsed() < WAIT, "{process} lives on");
        thread::sleep(PAUSE);
    }
}
