//! Every system call there is, tried with arguments that mean nothing, by a running sealed process each.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio, exit};

use engine::sealed::{Ending, Plan, Side, split};
use engine::{Profile, Settings};

/// More than any kernel has.
const CALLS: i64 = 600;

/// Calls that one process makes for those that it seals.
const BATCH: i64 = 60;

/// Says which of the calls from `from` to `to` are let through, a line for each.
pub(crate) fn try_all(from: &str, to: &str) {
    let number = |text: &str| text.parse::<i64>().expect("a number");
    for call in number(from)..number(to) {
        match split(Plan::new(&Settings::new(Profile::Sealed))).expect("it is sealed") {
            Side::Inside(inside) => {
                inside.begin(false).expect("it begins");
                // SAFETY: the call cannot write anywhere: no address is one.
                unsafe { libc::syscall(call, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64) };
                exit(0)
            }
            Side::Outside(outside) => match outside.supervise(None, None, None).expect("it is supervised") {
                Ending::Violation(_) => {}
                _ => println!("{call}"),
            },
        }
    }
}

/// Compares what is let through with what was looked at.
pub(crate) fn check(program: &Path) -> Result<(), String> {
    let mut passed = String::new();
    for from in (0..CALLS).step_by(BATCH as usize) {
        let mut command = Command::new(program);
        command.args(["call", &from.to_string(), &(from + BATCH).to_string()]);
        let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        passed += &String::from_utf8_lossy(&output.stdout);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/sealed/allowed-{}.txt", std::env::consts::ARCH));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &passed).map_err(|error| error.to_string())?;
    }
    let expected = fs::read_to_string(&file).map_err(|error| format!("`{}`: {error}", file.display()))?;
    let numbers = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (passed, expected) = (numbers(&passed), numbers(&expected));
    let more: Vec<_> = passed.iter().filter(|call| !expected.contains(call)).collect();
    let fewer: Vec<_> = expected.iter().filter(|call| !passed.contains(call)).collect();
    match (&more[..], &fewer[..]) {
        ([], []) => Ok(()),
        _ => Err(format!("let through, and not in `{}`: {more:?}; the other way: {fewer:?}", file.display())),
    }
}
