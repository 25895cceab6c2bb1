//! Holds `sampan` to what the programs under `guests/` say of themselves in their first lines, under every profile, and as
//! native code.
//! guests/README.md describes those lines.

mod actions;
mod case;
mod guests;
mod http;
mod run;
mod scene;
mod tls;

use std::sync::Mutex;
use std::thread;

/// Cases that there are at least: a suite that vanished must not pass.
const CASES_MIN: usize = 160;

/// Cases that run at once. Most of them wait for their own process.
const WORKERS: usize = 3;

#[test]
fn dense() {
    check("dense", &["--profile", "dense"]);
}

#[test]
fn portable() {
    check("portable", &["--profile", "portable"]);
}

#[test]
fn native() {
    check("native", &["-O", "codegen=native"]);
}

#[test]
fn sealed() {
    check("sealed", &["--profile", "sealed"]);
}

#[test]
fn every_guest_says_what_it_is_for() {
    let silent = guests::silent();
    assert!(
        silent.is_empty(),
        "guests without expectations that nothing else names: {silent:?}\n\
         hint: guests/README.md shows the lines that say what must happen"
    );
}

/// Runs every case with these flags, and reports all that fail. `CASE=text` picks those whose name contains it.
fn check(name: &str, flags: &[&str]) {
    let all = guests::cases();
    assert!(all.len() >= CASES_MIN, "only {} cases were found", all.len());
    let wanted = std::env::var("CASE").unwrap_or_default();
    let holds = |case: &&case::Case| case.is_for(name) && case.title().contains(&wanted);
    let cases: Vec<_> = all.iter().filter(holds).collect();
    assert!(!cases.is_empty(), "no case is called `{wanted}`");

    let queue = Mutex::new(cases.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().expect("no worker panics").next() else { return };
                    if let Err(reason) = run::run(case, flags) {
                        failures.lock().expect("no worker panics").push((case.title(), reason));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no worker panics");
    failures.sort();
    let report: String =
        failures.iter().map(|(title, reason)| format!("\n--- {title}\n{reason}\n")).collect();
    assert!(failures.is_empty(), "{report}\n{name}: {} of {} cases failed", failures.len(), cases.len());
    println!("{name}: {} cases passed", cases.len());
}
