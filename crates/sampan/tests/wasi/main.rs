//! Holds `sampan` to what the programs under `guests/` say of themselves in their first lines, under every profile, and as
//! native code: how they behave, and what comes of the attacks in `guests/hostile`.
//! guests/README.md describes those lines.

mod actions;
mod attacks;
mod case;
mod guests;
mod http;
mod lies;
mod run;
mod scene;
mod tls;

use std::sync::Mutex;
use std::thread;

use guests::Suite;

/// Cases that there are at least: a suite that vanished must not pass.
const CASES_MIN: usize = 160;
const ATTACKS_MIN: usize = 70;

/// One position of the dial.
struct Profile {
    name: &'static str,
    flags: &'static [&'static str],
}

const DENSE: Profile = Profile { name: "dense", flags: &["--profile", "dense"] };
const PORTABLE: Profile = Profile { name: "portable", flags: &["--profile", "portable"] };
const SEALED: Profile = Profile { name: "sealed", flags: &["--profile", "sealed"] };
const NATIVE: Profile = Profile { name: "native", flags: &["-O", "codegen=native"] };
/// Native code without guard pages.
const CHECKED: Profile =
    Profile { name: "checked", flags: &["-O", "codegen=native", "-O", "bounds=checked"] };
/// Native code whose accesses are masked.
const TRUSTED: Profile = Profile { name: "trusted", flags: &["--profile", "trusted"] };

/// Cases that run at once. Most of them wait for their own process.
const WORKERS: usize = 3;

#[test]
fn dense() {
    check(Suite::Behaviour, &DENSE);
}

#[test]
fn portable() {
    check(Suite::Behaviour, &PORTABLE);
}

#[test]
fn native() {
    check(Suite::Behaviour, &NATIVE);
}

#[test]
fn sealed() {
    check(Suite::Behaviour, &SEALED);
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

/// Runs every case under a profile, and reports all that fail. `CASE=text` picks those whose name contains it.
fn check(suite: Suite, profile: &Profile) {
    let name = profile.name;
    let all = guests::cases(suite);
    let least = if suite == Suite::Attacks { ATTACKS_MIN } else { CASES_MIN };
    assert!(all.len() >= least, "only {} cases were found", all.len());
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
                    if let Err(reason) = run::run(case, profile) {
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
