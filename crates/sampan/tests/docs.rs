//! Every `console` block of the documents is run, and must print what the document says.
//!
//! A line `$ …` is a command for the shell, lines `> …` continue it, and what follows is its output, standard error
//! included. `…` stands for any text, alone on a line for any lines.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Documents, and how many commands each has at the least: a reader that finds none has broken.
const DOCUMENTS: [(&str, usize); 8] = [
    ("README.md", 3),
    ("docs/guide/embed.md", 6),
    ("docs/guide/run.md", 15),
    ("docs/guide/bench.md", 2),
    ("docs/guide/native.md", 1),
    ("docs/guide/sealed.md", 2),
    ("docs/guide/serve.md", 15),
    ("docs/guide/trust.md", 12),
];

#[test]
fn documents_are_true() {
    for (document, commands_min) in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let steps = steps(&text);
        assert!(steps.len() >= commands_min, "{document}: only {} commands", steps.len());
        let directory = directory_with_programs();
        // What one document trusts, the next does not.
        let _ = fs::remove_file(cache().join("sampan/trust.list"));
        let _stopped = Stopped(directory.path());
        let mut code = 0;
        for step in steps {
            let (output, ended) = run(directory.path(), &step.command, code);
            assert!(
                agree(&step.output, &output),
                "{document}, line {}:\n$ {}\n-- it says\n{}\n-- it printed\n{output}",
                step.line,
                step.command,
                step.output
            );
            code = ended;
        }
    }
}

#[test]
fn what_differs_does_not_agree() {
    assert!(agree("a\n…\nd", "a\nb\nc\nd\n"));
    assert!(agree("sha: …", "sha: 12"));
    assert!(!agree("a\n…\nd", "a\nb"));
    assert!(!agree("a", "a\nb"));
    assert!(!agree("sha: …", "sum: 12"));
}

/// An app that a document left running, because it broke off, does not outlive its directory.
struct Stopped<'a>(&'a Path);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        run(self.0, "sampan stop", 0);
    }
}

struct Step {
    line: usize,
    command: String,
    output: String,
}

/// The commands in the `console` blocks of a document.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in document.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), continuation(line), steps.last_mut()) {
                (Some(command), _, _) => {
                    steps.push(Step { line: index + 1, command: command.to_owned(), output: String::new() });
                }
                (None, Some(more), Some(step)) if step.output.is_empty() => {
                    step.command += "\n";
                    step.command += more;
                }
                (None, _, Some(step)) => {
                    step.output += line;
                    step.output += "\n";
                }
                (None, _, None) => panic!("line {}: output before any command", index + 1),
            },
        }
    }
    steps
}

/// What a line `> …` adds to a command; an empty line is `>` alone.
fn continuation(line: &str) -> Option<&str> {
    line.strip_prefix("> ").or((line == ">").then_some(""))
}

/// Runs one command; `$?` is the exit code of the one before it.
fn run(directory: &Path, command: &str, code: i32) -> (String, i32) {
    let sampan = Path::new(env!("CARGO_BIN_EXE_sampan"));
    let path = format!("{}:{}", sampan.parent().unwrap().display(), env::var("PATH").unwrap());
    let script = format!("(exit {code})\n{command}");
    let output = Command::new("bash")
        .args(["-c", &format!("{{ {script}\n}} 2>&1")])
        .current_dir(directory)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", cache())
        .env("XDG_DATA_HOME", cache())
        // Where the apps are listed that run: those of this document and no others.
        .env("XDG_RUNTIME_DIR", directory)
        .output()
        .unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
}

/// Whether `actual` is what a document says.
fn agree(expected: &str, actual: &str) -> bool {
    let expected: Vec<&str> = expected.trim_end().lines().collect();
    let actual: Vec<&str> = actual.trim_end().lines().collect();
    lines_agree(&expected, &actual)
}

fn lines_agree(expected: &[&str], actual: &[&str]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((&"…", rest)) => (0..=actual.len()).any(|skipped| lines_agree(rest, &actual[skipped..])),
        Some((line, rest)) => actual
            .split_first()
            .is_some_and(|(first, others)| line_agrees(line, first) && lines_agree(rest, others)),
    }
}

fn line_agrees(expected: &str, actual: &str) -> bool {
    match expected.split_once('…') {
        Some((before, after)) => {
            actual.len() >= before.len() + after.len()
                && actual.starts_with(before)
                && actual.ends_with(after)
        }
        None => expected.trim_end() == actual.trim_end(),
    }
}

/// A fresh directory with the programs that the documents name.
fn directory_with_programs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let copies = [
        (built("SAMPAN_GUESTS").join("c/hello.wasm"), "hello.wasm"),
        (built("SAMPAN_PROGRAMS").join("python.wasm"), "python.wasm"),
    ];
    for (from, name) in copies {
        fs::copy(&from, directory.path().join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    directory
}

fn built(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")).into()
}

/// Compiled code is kept between runs of the tests.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
