//! What the parser refuses, in this house's words.

use crate::Problem;
use crate::limits::{COMPARED_CHARS_MAX, LISTED_NAMES_MAX};
use crate::source::Source;

/// The problem that the parser's error is about.
pub(crate) fn problem(error: &toml::de::Error, source: &Source) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    for (known, ours) in [("unknown field `", "unknown key"), ("unknown variant `", "unknown value")] {
        let Some((wrong, expected)) =
            message.strip_prefix(known).and_then(|rest| rest.rsplit_once("`, expected "))
        else {
            continue;
        };
        let names: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let hint = instead(wrong, &names);
        return Problem { hint, ..Problem::new(span, format!("{ours} `{wrong}`")) };
    }
    match &message[..] {
        "duplicate key" => {
            let message = format!("duplicate key `{}`", source.at(&span));
            Problem::new(span, message)
        }
        message => Problem::new(span, plain(message)),
    }
}

/// What to say to whoever wrote `wrong` where one of `names` is expected: the one that it may be a slip of, or all.
pub(crate) fn instead(wrong: &str, names: &[&str]) -> Option<String> {
    if wrong.chars().count() > COMPARED_CHARS_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let similarity = |name: &str| strsim::jaro_winkler(&wrong, &name.to_lowercase());
    let nearest = names.iter().map(|name| (similarity(name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest? {
        (similarity, name) if similarity > 0.8 => Some(format!("did you mean `{name}`?")),
        _ if names.len() > LISTED_NAMES_MAX => None,
        _ => Some(format!("expected one of `{}`", names.join("`, `"))),
    }
}

/// Serde's message, without the words that only a Rust programmer knows.
fn plain(message: &str) -> String {
    let message = message.replacen("missing field", "missing key", 1);
    let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return match message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected ")) {
            Some((found, _)) => format!("{found} is out of range"),
            None => message,
        };
    };
    let found = match found {
        "sequence" => "a list",
        "map" => "a table",
        found => found,
    };
    let expected = match expected {
        "u32" | "u64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        "path string" => "a path",
        expected => expected,
    };
    format!("expected {expected}, found {found}")
}
