//! What the parser refuses, in this house's words.

use crate::Problem;

/// Characters of a key beyond which no key is near it.
const SUGGESTED_CHARS_MAX: usize = 64;

/// The problem that the parser's error is about.
pub(crate) fn problem(error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    for (known, ours) in [("unknown field `", "unknown key"), ("unknown variant `", "unknown value")] {
        let Some((wrong, expected)) =
            message.strip_prefix(known).and_then(|rest| rest.rsplit_once("`, expected "))
        else {
            continue;
        };
        let names: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let problem = Problem::new(span, format!("{ours} `{wrong}`"));
        return match nearest(wrong, names.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("expected `{}`", names.join("`, `"))),
        };
    }
    Problem::new(span, plain(&message))
}

/// The one of `names` that `wrong` may be a slip of.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.chars().count() > SUGGESTED_CHARS_MAX {
        return None;
    }
    let near = |name: &&str| strsim::jaro_winkler(wrong, name);
    let (similarity, name) =
        names.into_iter().map(|name| (near(&name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (similarity > 0.8).then_some(name)
}

/// Serde's message, without the words that only a Rust programmer knows.
fn plain(message: &str) -> String {
    let message = message.replacen("missing field", "missing key", 1);
    let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return message;
    };
    let found = match found {
        "sequence" => "a list",
        "map" => "a table",
        found => found,
    };
    let expected = match expected {
        "u32" | "u64" => "a whole number from 0",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        "path string" => "a path",
        expected => expected,
    };
    format!("expected {expected}, found {found}")
}
