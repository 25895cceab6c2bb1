//! What the parser refuses, in this house's words.

use schemars::schema_for;
use serde_json::{Map, Value};

use crate::limits::{COMPARED_CHARS_MAX, LISTED_NAMES_MAX};
use crate::source::Source;
use crate::{Manifest, Problem};

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
        let inner = if ours == "unknown key" { inner_keys(&names) } else { Vec::new() };
        let all: Vec<_> = inner.iter().map(String::as_str).chain(names.iter().copied()).collect();
        let hint = near(wrong, &all).or_else(|| one_of(&names));
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
    near(wrong, names).or_else(|| one_of(names))
}

/// The name that it may be a slip of. Of a key in a table, only the key counts.
fn near(wrong: &str, names: &[&str]) -> Option<String> {
    if wrong.chars().count() > COMPARED_CHARS_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let similarity = |name: &str| {
        let key = name.rsplit('.').next().unwrap_or(name);
        strsim::jaro_winkler(&wrong, &key.to_lowercase())
    };
    let nearest = names.iter().map(|name| (similarity(name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(similarity, _)| *similarity > 0.8).map(|(_, name)| format!("did you mean `{name}`?"))
}

fn one_of(names: &[&str]) -> Option<String> {
    let is_short = (1..=LISTED_NAMES_MAX).contains(&names.len());
    is_short.then(|| format!("expected one of `{}`", names.join("`, `")))
}

/// The keys of the tables inside the table whose keys are `names`, as they may be written in it: `limits.memory`.
fn inner_keys(names: &[&str]) -> Vec<String> {
    let schema = schema_for!(Manifest);
    let keys_of = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
    let definitions = schema.as_value()["$defs"].as_object().cloned().unwrap_or_default();
    let is_it = |keys: &Map<String, Value>| {
        keys.len() == names.len() && names.iter().all(|name| keys.contains_key(*name))
    };
    let mut tables = definitions.values().chain([schema.as_value()]).map(keys_of);
    let inside = |(table, of): (String, Value)| {
        let definition = of["$ref"].as_str().and_then(|path| definitions.get(path.rsplit('/').next()?));
        let keys = definition.map(keys_of).unwrap_or_default().into_iter();
        keys.map(move |(key, _)| format!("{table}.{key}")).collect::<Vec<_>>()
    };
    tables.find(is_it).into_iter().flatten().flat_map(inside).collect()
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
