//! Functions as native code: other code answers until it is made, and where it cannot be made.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::WAIT;
use crate::app::App;

/// The flag as Linux numbers it.
const O_NONBLOCK: i32 = 0o4000;

const MANIFEST: &str = r#"
    [functions.hello]
    program = "$GUESTS/app/hello.wasm"
    options = { codegen = "native" }
    [functions.hello3]
    program = "$GUESTS/app/hello3.wasm"
    options = { codegen = "native" }
    reuse = 4
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    options = { codegen = "native", bounds = "checked" }
    limits = { memory = "16M", deadline = "2s" }
    [[routes]]
    path = "/hello"
    function = "hello"
    [[routes]]
    path = "/hello3"
    function = "hello3"
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

/// An app with a cache of its own, for which clang is what this script says.
fn app(script: &str) -> App {
    let app = App::new(MANIFEST).file("bin/clang-22", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(app.path("bin/clang-22"), Permissions::from_mode(0o755)).expect("it is the test's");
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", app.path("bin").display());
    let cache = app.path("cache").display().to_string();
    app.env("PATH", &path).env("XDG_CACHE_HOME", &cache)
}

/// The same, but clang waits at a gate each time, for a line to be written there.
fn gated() -> (App, PathBuf) {
    let path = std::env::var_os("PATH").expect("a path");
    let clang = std::env::split_paths(&path).map(|dir| dir.join("clang-22")).find(|clang| clang.is_file());
    let clang = clang.expect("clang-22 is installed").display().to_string();
    let app = app(&format!("read open < \"${{0%/*}}/gate\" && exec {clang} \"$@\""));
    let gate = app.path("bin/gate");
    assert!(Command::new("mkfifo").arg(&gate).status().expect("it runs").success());
    (app, gate)
}

/// The gate, held by the test, once somebody waits there.
fn reached(gate: &Path) -> File {
    let end = Instant::now() + WAIT;
    loop {
        // It cannot be opened while nobody reads.
        match OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(gate) {
            Ok(gate) => return gate,
            Err(error) => assert!(Instant::now() < end, "no compiler comes: {error}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn other_code_answers_until_native_code_is_made() {
    let (app, gate) = gated();
    let served = app.serve();
    let well = || {
        for _ in 0..10 {
            assert_eq!(served.text("/hello"), "hello\n");
            assert_eq!(served.text("/hello3"), "hello\n");
        }
        for (path, status) in [("/loop", 504), ("/trap", 500), ("/allocate", 500), ("/sleep?3600000", 504)] {
            assert_eq!(served.get(path).status, status, "{path}");
        }
        // Each has an instance of its own, whatever became of the others.
        assert_eq!(served.text("/remember?one"), "");
        assert_eq!(served.text("/remember?two"), "");
    };
    well();
    assert!(!served.said().contains(" | runs "), "{}", served.said());
    // From now on nobody waits there.
    let opened = gate.clone();
    thread::spawn(move || {
        while opened.exists() {
            // Who was there may have gone on already.
            let _ = fs::write(&opened, "\n");
        }
    });
    for name in ["hello", "hello3", "lab"] {
        served.says(&format!("{name} | runs as native code from now on\n"));
    }
    well();
    // Both kinds of code say where they trapped.
    let said = served.said();
    let says_where = "lab | wasm trap: wasm `unreachable` instruction executed\nlab |   at abort\n";
    assert_eq!(said.matches(says_where).count(), 2, "{said}");
    assert_eq!(said.matches("lab |   at lab::trap\n").count(), 2, "{said}");
    drop(served);

    // The code was kept: without a compiler there is nothing to say.
    fs::remove_file(app.path("bin/clang-22")).expect("it is there");
    let served = app.env("PATH", "/nowhere").serve();
    assert_eq!(served.text("/hello"), "hello\n");
    assert!(!served.stop().contains(" | runs "));
}

#[test]
fn a_compiler_that_fails_is_told_of() {
    let app = app("echo out of luck >&2; exit 1");
    let served = app.serve();
    for name in ["hello", "hello3", "lab"] {
        served.says(&format!("{name} | runs without native code: `"));
    }
    assert_eq!(served.text("/hello"), "hello\n");
    let said = served.stop();
    assert_eq!(said.matches(" | runs ").count(), 3, "{said}");
    assert_eq!(said.matches("clang-22` failed: out of luck\n").count(), 3, "{said}");
}

#[test]
fn no_compiler_outlives_its_node() {
    let (app, gate) = gated();
    let served = app.serve();
    let mut gate = reached(&gate);
    served.kill();
    let end = Instant::now() + WAIT;
    // What is written is no whole line, so that whoever waits goes on to wait.
    while gate.write_all(b".").map_err(|error| error.kind()) != Err(ErrorKind::BrokenPipe) {
        assert!(Instant::now() < end, "the compiler goes on to wait");
        thread::sleep(Duration::from_millis(2));
    }
}
