//! Rules for Rust sources.

use super::{Violation, lines, violation};

const LINES_MAX: usize = 800;

/// Where `unsafe` may stand: what runs native code, and the programs that run inside.
const UNSAFE_IN: [&str; 4] = ["crates/rt/", "crates/engine/", "hosts/", "guests/"];

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(violation(path, 1, "header", "begin with `//!` and the one reason why this file exists"));
    }
    if text.lines().count() > LINES_MAX {
        let advice = format!("split it: {LINES_MAX} lines at most, about 200 as a rule");
        found.push(violation(path, LINES_MAX + 1, "length", advice));
    }
    let code = without_comments_and_literals(text);
    if !UNSAFE_IN.iter().any(|place| path.starts_with(place)) {
        let advice = "only `rt`, `engine` and `hosts/*` may: move it there behind a safe function";
        found.extend(lines(path, &code, "unsafe", advice, |line| has_word(line, "unsafe")));
    }
    let advice = "mend the test or delete it";
    found.extend(lines(path, &code, "ignored-test", advice, |line| line.contains("#[ignore")));
    for name in ["todo!", "dbg!"] {
        found.extend(lines(path, &code, "left-over", "finish it, or take it out", |line| {
            has_word(line, name)
        }));
    }
    found
}

/// Whether the word stands in the line, not as a part of a longer identifier.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word)
    })
}

/// The text with comments and the contents of literals taken out; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(|char: char| char.is_alphanumeric() || char == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !in_word || code.ends_with('b') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        match skipped {
            0 => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
            _ => {
                code.extend(rest[..skipped].chars().filter(|char| *char == '\n'));
                rest = &rest[skipped..];
            }
        }
    }
    code
}

/// The length of the block comment that the text begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string literal that the text begins with.
fn string(text: &str) -> usize {
    let mut escaped = true;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal that the text begins with, or 0 if it begins with none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|char| *char == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let start = hashes + 2;
    let end = format!("\"{}", "#".repeat(hashes));
    text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
}

/// The length of the character literal that the text begins with, or 0 if it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => chars.next().filter(|(_, char)| *char == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(path, text).iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn a_file_without_its_reason_is_found() {
        assert_eq!(rules("a.rs", "// Why.\n"), [(1, "header")]);
        assert_eq!(rules("a.rs", "//! Why.\n"), []);
    }

    #[test]
    fn a_long_file_is_found() {
        let text = format!("//! Why.\n{}", "\n".repeat(LINES_MAX - 1));
        assert_eq!(rules("a.rs", &text), []);
        assert_eq!(rules("a.rs", &format!("{text}\n")), [(801, "length")]);
    }

    #[test]
    fn unsafe_code_is_found_where_it_may_not_be() {
        let text = "//! Why.\nfn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(rules("crates/host/src/lib.rs", text), [(3, "unsafe")]);
        assert_eq!(rules("crates/engine/src/lib.rs", text), []);
        assert_eq!(rules("crates/host/src/lib.rs", "//! unsafe\n#![forbid(unsafe_code)]\n"), []);
    }

    #[test]
    fn ignored_tests_and_left_overs_are_found() {
        let text = "//! Why.\n#[ignore = \"slow\"]\nfn f() {\n    todo!();\n    dbg!(1);\n}\n";
        assert_eq!(rules("a.rs", text), [(2, "ignored-test"), (4, "left-over"), (5, "left-over")]);
        assert_eq!(rules("a.rs", "//! Why.\nfn f() { not_todo!() }\n"), []);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "a /* 1 /* 2 */\n 3 */ b \"x\\\"y\" r#\"\"p\"\n\"# 'q' '\\'' '\\u{41}' &'static br\"s\" var\"t\" // c\nd";
        assert_eq!(without_comments_and_literals(text), "a \n b  \n    &'static b var \nd");
    }
}
