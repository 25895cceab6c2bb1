//! Functions in processes of their own: they answer as any, and what becomes of a process is told, mended, and nobody else's
//! affair. What such a process cannot do is tested in `crates/engine/tests/sealed`.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{App, Served};
use crate::client::{Answer, Connection, Request};
use crate::console::serve;
use crate::endurance::groups_of;
use crate::{PAUSE, WAIT};

/// The same functions, by the name of a host.
const APP: &str = r#"
    [functions.open]
    program = "$GUESTS/app/lab.wasm"
    env = { COLOUR = "green" }
    limits = { deadline = "2s", memory = "16M" }
    secrets = { TOKEN = { env = "TESTED_TOKEN" } }
    [functions.sealed]
    program = "$GUESTS/app/lab.wasm"
    profile = "sealed"
    env = { COLOUR = "green" }
    limits = { deadline = "2s", memory = "16M" }
    secrets = { TOKEN = { env = "TESTED_TOKEN" } }
    [functions.newer]
    program = "$GUESTS/app/hello3.wasm"
    profile = "sealed"
    [functions.command]
    program = "$GUESTS/p1/cgi.wasm"
    profile = "sealed"
    limits = { deadline = "60s" }
    [functions.warm]
    program = "$GUESTS/app/lab.wasm"
    profile = "sealed"
    reuse = 1
    limits = { concurrency = 1 }
    [[routes]]
    host = "sealed"
    path = "/{*rest}"
    function = "sealed"
    [[routes]]
    host = "newer"
    path = "/{*rest}"
    function = "newer"
    [[routes]]
    host = "command"
    path = "/{*rest}"
    function = "command"
    [[routes]]
    host = "warm"
    path = "/{*rest}"
    function = "warm"
    [[routes]]
    path = "/{*rest}"
    function = "open"
"#;

/// A function alone, as sealed as it can be.
const ALONE: &str = r#"
    [functions.alone]
    program = "$GUESTS/app/lab.wasm"
    profile = "sealed"
    [functions.other]
    program = "$GUESTS/app/lab.wasm"
    [[routes]]
    host = "other"
    path = "/{*rest}"
    function = "other"
    [[routes]]
    path = "/{*rest}"
    function = "alone"
"#;

fn app() -> App {
    App::new(APP).env("TESTED_TOKEN", "tulip")
}

fn ask(served: &Served, host: &str, request: Request<'_>) -> Answer {
    served.ask(&request.header("host", host))
}

/// The process that is sealed: the last that was started, after the zygote.
#[track_caller]
fn sealed_process(served: &Served) -> u32 {
    let all = served.descendants();
    assert_eq!(all.len(), 2, "{all:?}");
    all[1]
}

pub(crate) fn signal(pid: u32, name: &str) {
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &pid.to_string()])
            .status()
            .expect("`kill`")
            .success()
    );
}

/// Asks until there is an answer that is well: a function that lost its process has another soon.
#[track_caller]
pub(crate) fn answers_again(served: &Served) {
    let begun = Instant::now();
    while served.get("/remember?a").status != 200 {
        assert!(begun.elapsed() < WAIT, "{}", served.said());
    }
}

#[test]
fn a_sealed_function_answers_as_any() {
    let served = app().serve();
    let body = vec![7; 100_000];
    for request in [
        || Request::new("GET", "/headers?a=b").header("x-question", "why"),
        || Request::new("GET", "/variables"),
        || Request::new("GET", "/nothing"),
        || Request::new("GET", "/stream?3"),
    ] {
        let strip = |answer: Answer| {
            let body =
                String::from_utf8_lossy(&answer.body).replace("host: open", "").replace("host: sealed", "");
            (answer.status, body)
        };
        assert_eq!(strip(ask(&served, "sealed", request())), strip(ask(&served, "open", request())));
    }
    for path in ["/echo", "/length"] {
        let request = || Request::new("POST", path).body(&body);
        assert_eq!(ask(&served, "sealed", request()).body, ask(&served, "open", request()).body);
    }
    assert_eq!(
        ask(&served, "sealed", Request::new("GET", "/variables")).well(),
        "COLOUR=green\nTOKEN=tulip\n"
    );
    assert_eq!(ask(&served, "newer", Request::new("GET", "/")).status, 200);
    let told = ask(&served, "command", Request::new("POST", "/variables?a=1").body(b"body")).well();
    assert!(told.contains("QUERY_STRING=a=1\n"), "{told}");
    assert_eq!(ask(&served, "warm", Request::new("GET", "/remember?a")).well(), "");
    assert_eq!(ask(&served, "warm", Request::new("GET", "/remember?b")).well(), "a");
    ask(&served, "sealed", Request::new("GET", "/say?this")).well();
    served.says("sealed | said this\n");
    served.says("sealed | complained this\n");
    served.stop();
}

#[test]
fn its_instances_are_counted() {
    let (served, console, _) = serve(app(), "127.0.0.1:0");
    let counted = |made: u32, warm: u32| {
        let lines = [
            format!("sampan_instances_total{{function=\"warm\"}} {made}\n"),
            format!("sampan_warm_instances{{function=\"warm\"}} {warm}\n"),
        ];
        let end = Instant::now() + WAIT;
        while let metrics = Connection::open(console).ask(&Request::new("GET", "/metrics")).well()
            && !lines.iter().all(|line| metrics.contains(line))
        {
            assert!(Instant::now() < end, "{lines:?} are not in {metrics}");
            thread::sleep(PAUSE);
        }
    };
    counted(0, 0);
    for _ in 0..2 {
        ask(&served, "warm", Request::new("GET", "/remember?a")).well();
    }
    counted(1, 1);
    assert_eq!(ask(&served, "warm", Request::new("GET", "/trap")).status, 500);
    counted(1, 0);
    ask(&served, "warm", Request::new("GET", "/remember?a")).well();
    counted(2, 1);
}

#[test]
fn what_goes_wrong_inside_is_told_outside() {
    let served = app().serve();
    for (path, status, said) in [
        ("/trap", 500, "sealed | "),
        ("/loop", 504, "sealed | the deadline has passed"),
        ("/allocate", 500, "sealed | memory limit of 16777216 bytes"),
        ("/silent", 500, "sealed | it ended without an answer"),
    ] {
        let answer = ask(&served, "sealed", Request::new("GET", path));
        assert_eq!(answer.status, status, "{path}: {}", served.said());
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("sampan-")), "{answer:?}");
        served.says(said);
        assert_eq!(ask(&served, "sealed", Request::new("GET", "/remember?a")).well(), "", "after {path}");
    }
}

#[test]
fn a_process_that_dies_is_told_of_and_replaced() {
    let served = App::new(ALONE).serve();
    let first = sealed_process(&served);
    // While it has something to do.
    let mut waiting = served.connect();
    waiting.send(&Request::new("GET", "/sleep?60000").bytes());
    served.get("/remember?a").well();
    signal(first, "KILL");
    let answering = waiting.answer();
    assert_eq!(answering.status, 500, "{answering:?}");
    served.says("alone | its process was ended by signal 9\n");
    answers_again(&served);
    assert_ne!(sealed_process(&served), first);
    assert_eq!(served.ask(&Request::new("GET", "/remember?a").header("host", "other")).well(), "");
    answers_again(&served);
}

/// The same function, and a process that stands by.
const SPARE: &str = r#"
    [functions.alone]
    program = "$GUESTS/app/lab.wasm"
    profile = "sealed"
    spare = 1
    [[routes]]
    path = "/{*rest}"
    function = "alone"
"#;

#[test]
fn what_processes_are_copies_of_may_die() {
    let served = App::new(ALONE).serve();
    let (zygote, sealed) = (served.descendants()[0], sealed_process(&served));
    signal(zygote, "KILL");
    // What lives, lives on.
    served.get("/remember?a").well();
    assert!(served.descendants().contains(&sealed));
    // The first to follow may have been there already.
    for round in 0..2 {
        let last = *served.descendants().last().expect("a sealed process");
        signal(if round == 0 { sealed } else { last }, "KILL");
        answers_again(&served);
    }
    let begun = Instant::now();
    while let others = served.descendants()
        && (others.len() != 2 || others.contains(&zygote) || others.contains(&sealed))
    {
        assert!(begun.elapsed() < WAIT, "{others:?}");
        thread::sleep(PAUSE);
    }
}

#[test]
fn the_process_that_stands_by_for_all_may_die() {
    let served = App::new(ALONE).serve();
    for _ in 0..2 {
        let begun = Instant::now();
        let blank = loop {
            let (all, told) = (served.all_descendants(), served.descendants());
            if let Some(blank) = all.into_iter().find(|pid| lives(pid) && !told.contains(pid)) {
                break blank;
            }
            assert!(begun.elapsed() < WAIT, "{}", served.said());
            thread::sleep(PAUSE);
        };
        for process in [blank, sealed_process(&served)] {
            // Of two that were begun at once, one may have ended by itself.
            let kill =
                Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
            kill.expect("`kill` runs");
        }
        answers_again(&served);
    }
}

/// What [`Served::makers`] says, once it is what it should be.
#[track_caller]
fn makers(served: &Served, should: impl Fn((u32, u32)) -> bool) -> (u32, u32) {
    let begun = Instant::now();
    loop {
        if let Some(makers) = served.makers().filter(|makers| should(*makers)) {
            return makers;
        }
        assert!(begun.elapsed() < WAIT, "{:?}: {}", served.all_descendants(), served.said());
        thread::sleep(PAUSE);
    }
}

/// One that was stopped by somebody, or hangs, would keep all waiting.
#[test]
fn what_makes_processes_and_does_not_answer_is_replaced() {
    let served = App::new(ALONE).serve();
    let (zygote, blank) = makers(&served, |_| true);
    signal(zygote, "STOP");
    for process in [blank, sealed_process(&served)] {
        signal(process, "KILL");
    }
    answers_again(&served);
    makers(&served, |(other, _)| other != zygote);
}

#[test]
fn what_makes_processes_is_replaced_though_nobody_asks() {
    let served = App::new(ALONE).serve();
    let (zygote, blank) = makers(&served, |_| true);
    let works = sealed_process(&served);
    signal(blank, "KILL");
    let (same, blank) = makers(&served, |(_, other)| other != blank);
    assert_eq!(same, zygote);
    signal(zygote, "KILL");
    let (zygote, same) = makers(&served, |(other, _)| other != zygote);
    assert_eq!(same, blank);
    // Nothing is left of them, not even zombies.
    let mut all = served.all_descendants();
    all.sort_unstable();
    let mut expected = [zygote, works, blank];
    expected.sort_unstable();
    assert_eq!(all, expected);
    // One of each process that runs something, or is to.
    assert!(groups_of(served.pid()).len() <= 2, "{:?}", groups_of(served.pid()));
    // A new process is a copy of the new zygote, and the one that works is the same.
    signal(works, "KILL");
    answers_again(&served);
}

#[test]
fn what_dies_each_time_is_replaced_ever_more_seldom() {
    let served = App::new(ALONE).serve();
    let works = sealed_process(&served);
    let mut killed = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        if let Some((zygote, blank)) = served.makers() {
            killed.push(zygote);
            // They may have been killed already, and only be listed yet.
            let both = [zygote, blank].map(|pid| pid.to_string());
            let _ = Command::new("kill").arg("-KILL").args(both).stderr(Stdio::null()).status();
        }
        thread::sleep(Duration::from_millis(1));
    }
    killed.dedup();
    // 200 ms, 400, 800, …
    assert!((2..=5).contains(&killed.len()), "{killed:?}");
    // Who has a call to make does not wait for that.
    signal(works, "KILL");
    answers_again(&served);
}

#[test]
fn the_next_node_puts_away_what_one_left_that_was_killed() {
    let app = App::new(ALONE);
    let served = app.serve();
    let (node, all) = (served.pid(), served.all_descendants());
    assert!(!groups_of(node).is_empty());
    served.kill();
    let begun = Instant::now();
    while all.iter().any(lives) {
        assert!(begun.elapsed() < WAIT, "{all:?} live on");
        thread::sleep(PAUSE);
    }
    let (next, another) = (app.serve(), App::new(ALONE).serve());
    let begun = Instant::now();
    while !groups_of(node).is_empty() {
        assert!(begun.elapsed() < WAIT, "{:?}", groups_of(node));
        thread::sleep(PAUSE);
    }
    // Those of nodes that live are theirs.
    assert!(!groups_of(next.pid()).is_empty() && !groups_of(another.pid()).is_empty());
}

/// Whether a process has not ended. A zombie has, and nobody here is to wait for it.
fn lives(pid: &u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|state| !state.contains(") Z "))
}

/// Waits until the zygote, the process that works and one that stands by are there, and nothing else.
#[track_caller]
fn all_three(served: &Served) -> Vec<u32> {
    let begun = Instant::now();
    loop {
        let all = served.descendants();
        if all.len() == 3 && all.iter().all(lives) {
            return all;
        }
        assert!(begun.elapsed() < WAIT, "{all:?}");
        thread::sleep(PAUSE);
    }
}

#[test]
fn of_a_process_and_one_that_stands_by_either_may_die() {
    let served = App::new(SPARE).serve();
    for _ in 0..3 {
        let all = all_three(&served);
        // Whichever of them dies, one that works or one that stands by, and however far it has come.
        for one in &all[1..] {
            // One too many, which was begun while another took its place, may have ended by itself.
            let _ = Command::new("kill").args(["-KILL", &one.to_string()]).stderr(Stdio::null()).status();
            let begun = Instant::now();
            while lives(one) {
                assert!(begun.elapsed() < WAIT, "{one} lives on");
                thread::sleep(PAUSE);
            }
            answers_again(&served);
        }
        let now = all_three(&served);
        assert!(now[1..].iter().all(|one| !all[1..].contains(one)), "{all:?}, then {now:?}");
    }
}

#[test]
fn a_process_that_hangs_is_told_of_and_replaced() {
    let served = App::new(ALONE).serve();
    let first = sealed_process(&served);
    signal(first, "STOP");
    assert_eq!(served.ask(&Request::new("GET", "/remember?a").header("host", "other")).well(), "");
    served.says("alone | its process said nothing for 10s, and is ended\n");
    answers_again(&served);
    assert_ne!(sealed_process(&served), first);
}

#[test]
fn no_process_outlives_its_node() {
    for by in ["TERM", "KILL"] {
        let mut served = App::new(ALONE).serve();
        assert_eq!(served.descendants().len(), 2);
        let all = served.all_descendants();
        served.signal(by);
        served.ended();
        let begun = Instant::now();
        while all.iter().any(lives) {
            assert!(begun.elapsed() < WAIT, "{by}: {all:?} live on");
            thread::sleep(PAUSE);
        }
    }
}

#[test]
fn what_cannot_be_sealed_is_told() {
    let (code, said) = App::new("[functions.g]\nprogram = \"none.wasm\"\nprofile = \"sealed\"").refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("error: cannot seal function `g`\n  cause: cannot read `"), "{said}");
    // What the process says of the program is told as if it were said here.
    let app = App::new("[functions.g]\nprogram = \"junk.wasm\"\nprofile = \"sealed\"");
    let (code, said) = app.file("junk.wasm", "junk").refused();
    assert_eq!(code, Some(2), "{said}");
    let shown = "error: cannot seal function `g`\n  cause: cannot load function `g`\n  cause: not a WebAssembly program: ";
    assert!(said.starts_with(shown), "{said}");
}

#[test]
fn a_directory_that_is_not_there_is_not_granted() {
    for profile in ["dense", "sealed"] {
        let function =
            format!("[functions.g]\nprogram = \"$GUESTS/app/lab.wasm\"\nprofile = \"{profile}\"\n");
        let (code, said) = App::new(&(function + "grants = { dirs = [\"nowhere:/x\"] }\n")).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("error: there is no directory `") && said.contains("sampan.toml:"), "{said}");
    }
}

#[test]
fn objects_cross_whole_and_each_container_has_its_quota() {
    let function = |name: &str, profile: &str| {
        format!(
            "[functions.{name}]\nprogram = \"$GUESTS/app/vault.wasm\"\nprofile = \"{profile}\"\n\
            grants = {{ blobs = [\"wide\", \"narrow\"] }}\n\
            [[routes]]\nhost = \"{name}\"\npath = \"/{{*rest}}\"\nfunction = \"{name}\"\n"
        )
    };
    let containers = "[blobs.wide]\n[blobs.narrow]\nquota = \"1M\"\n";
    let app = App::new(&(function("open", "dense") + &function("shut", "sealed") + containers));
    let served = app.serve();
    let object: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
    for (writer, reader) in [("open", "shut"), ("shut", "open"), ("shut", "shut")] {
        assert_eq!(ask(&served, writer, Request::new("PUT", "/blobs/wide/one").body(&object)).well(), "");
        let refused = ask(&served, writer, Request::new("PUT", "/blobs/narrow/one").body(&object));
        assert!(refused.status == 400 && refused.text().contains("quota"), "{writer}: {}", refused.text());
        let moved = ask(&served, writer, Request::new("POST", "/move/wide/one").body(b"narrow/two"));
        assert!(moved.status == 400 && moved.text().contains("quota"), "{writer}: {}", moved.text());
        assert!(ask(&served, reader, Request::new("GET", "/blobs/wide/one")).body == object, "{reader}");
        assert_eq!(ask(&served, writer, Request::new("POST", "/copy/wide/one").body(b"wide/two")).well(), "");
        let listed = ask(&served, reader, Request::new("POST", "/list/wide"));
        assert_eq!(listed.well(), "one\ntwo");
        assert_eq!(ask(&served, reader, Request::new("DELETE", "/blobs/wide/one")).well(), "");
        assert_eq!(ask(&served, writer, Request::new("POST", "/move/wide/two").body(b"wide/one")).well(), "");
        assert_eq!(ask(&served, reader, Request::new("POST", "/list/wide")).well(), "one");
        // What does not fit has left nothing behind: what fits, does, also from the other container.
        let small = &object[..900_000];
        assert_eq!(ask(&served, writer, Request::new("PUT", "/blobs/wide/one").body(small)).well(), "");
        assert_eq!(
            ask(&served, writer, Request::new("POST", "/move/wide/one").body(b"narrow/one")).well(),
            ""
        );
        assert!(ask(&served, reader, Request::new("GET", "/blobs/narrow/one")).body == small, "{reader}");
        assert_eq!(ask(&served, writer, Request::new("POST", "/list/wide")).well(), "");
        assert_eq!(ask(&served, reader, Request::new("DELETE", "/blobs/narrow/one")).well(), "");
    }
    served.stop();
}
