//! Transcripts: what a user types and what the terminal shows, word for word.
//!
//! A file of `errors/` is a session in a directory of its own. A line `$ COMMAND` is what is typed, to `sh`; below it
//! stand the lines of standard output behind `> `, those of standard error behind `! `, and `? CODE` where the exit code
//! is not 0. A line `# …` says something to the reader. `BLESS=1` writes what is shown into the files.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::child::{Ended, shell};

/// The session in the file as it goes now.
fn play(text: &str) -> String {
    let place = tempfile::tempdir().expect("a directory is made");
    let work = place.path().join("work");
    fs::create_dir(&work).expect("a directory is made");
    let mut played = String::new();
    for line in text.lines() {
        if line.starts_with('#') || line.is_empty() {
            writeln!(played, "{line}").expect("a string grows");
        }
        if let Some(command) = line.strip_prefix("$ ") {
            let run = shell(command)
                .dir(&work)
                .env("HOME", place.path())
                .env("XDG_DATA_HOME", place.path().join("data"))
                .env("XDG_CACHE_HOME", place.path().join("cache"))
                .env("TERM", "xterm");
            writeln!(played, "{line}").expect("a string grows");
            show(&mut played, &run.run());
        }
    }
    played
}

fn show(played: &mut String, ended: &Ended) {
    let stdout = String::from_utf8_lossy(&ended.stdout);
    for (mark, text) in [('>', &*stdout), ('!', &ended.stderr)] {
        for line in text.lines() {
            writeln!(played, "{}", format!("{mark} {line}").trim_end()).expect("a string grows");
        }
    }
    match (ended.code, ended.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => writeln!(played, "? {code}"),
        (None, signal) => writeln!(played, "? signal {signal:?}"),
    }
    .expect("a string grows");
}

#[test]
fn every_transcript_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/errors");
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut different = Vec::new();
    for file in fs::read_dir(&folder).expect("the transcripts are there") {
        let path = file.expect("the folder is listed").path();
        let written = fs::read_to_string(&path).expect("the transcript is read");
        let played = play(&written);
        for word in ["panicked", "stack backtrace"] {
            assert!(!played.contains(word), "{}:\n{played}", path.display());
        }
        if played != written && bless {
            fs::write(&path, &played).expect("the transcript is written");
        } else if played != written {
            different.push(difference(&path, &written, &played));
        }
    }
    assert!(different.is_empty(), "BLESS=1 accepts what is shown now:\n{}", different.join("\n"));
}

/// The first lines that differ.
fn difference(path: &Path, written: &str, played: &str) -> String {
    let same = written.lines().zip(played.lines()).take_while(|(written, played)| written == played).count();
    let rest = |text: &str| text.lines().skip(same).take(8).collect::<Vec<_>>().join("\n");
    let at = format!("{}:{}", path.display(), same + 1);
    format!("{at}\n--- written\n{}\n--- shown\n{}\n", rest(written), rest(played))
}

#[test]
fn a_transcript_that_goes_otherwise_is_noticed() {
    let written = "# A comment.\n$ echo out; echo talk >&2; exit 3\n> out\n! talk\n? 3\n";
    assert_eq!(play(written), written);
    assert_ne!(play(&written.replace("? 3", "? 4")), written.replace("? 3", "? 4"));
}
