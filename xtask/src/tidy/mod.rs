//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy holds.
//!
//! A rule takes a file's path and text and returns its violations, so that each is tested on a few lines of text.

mod edges;
mod rust;
mod text;

use crate::{process, root};
use anyhow::{Result, bail};
use std::fmt;
use std::fs;
use std::process::Command;

/// One line that breaks a rule, and what to do about it.
#[derive(Debug, PartialEq)]
struct Violation {
    path: String,
    line: usize,
    rule: &'static str,
    advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

pub(crate) fn run() -> Result<()> {
    let violations = violations()?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => bail!("the house is untidy in {count} places"),
    }
}

fn violations() -> Result<Vec<Violation>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let list = process::output(Command::new("git").current_dir(root()).args(list))?;
    let mut found = text::missing(&list);
    for path in list.lines() {
        // What is not text, or was deleted without git having heard of it, is nobody's concern here.
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        found.extend(text::check(path, &text));
        if path.ends_with(".rs") {
            found.extend(rust::check(path, &text));
        }
        if path.ends_with("Cargo.toml") {
            found.extend(edges::check(path, &text)?);
        }
    }
    Ok(found)
}

/// A violation for each line that `breaks` the rule.
fn lines(
    path: &str,
    text: &str,
    rule: &'static str,
    advice: &str,
    breaks: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let broken = text.lines().enumerate().filter(|(_, line)| breaks(line));
    broken.map(|(index, _)| violation(path, index + 1, rule, advice)).collect()
}

fn violation(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Violation {
    Violation { path: path.to_owned(), line, rule, advice: advice.into() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let violations = super::violations().expect("the rules can be checked");
        let report: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(report.is_empty(), "\n{}", report.join("\n"));
    }
}
