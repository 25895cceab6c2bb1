//! Which crate may lean on which. To add a crate or an edge is a change of the design: docs/ARCHITECTURE.md.

use super::{Violation, violation};
use anyhow::{Context, Result};
use toml::{Table, Value};

/// Each package of ours and those of ours that it may depend on.
const EDGES: [(&str, &[&str]); 13] = [
    ("rt", &[]),
    ("aot", &["rt"]),
    ("engine", &["rt", "aot"]),
    ("state", &[]),
    ("host", &["engine", "state"]),
    ("image", &[]),
    ("node", &["engine", "host", "image", "state"]),
    ("sampan", &["aot", "engine", "host", "image", "node", "state"]),
    ("ui", &["host", "image"]),
    ("ros", &["host"]),
    // `engine::native` without the rest, for processors that are emulated.
    ("foreign", &["aot", "rt"]),
    ("bench", &["aot", "engine", "host", "image", "node", "rt", "state"]),
    ("xtask", &[]),
];

pub(super) fn check(path: &str, text: &str) -> Result<Vec<Violation>> {
    let manifest: Table = text.parse().with_context(|| format!("cannot read `{path}`"))?;
    let Some(package) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
        return Ok(Vec::new());
    };
    if path.starts_with("guests/") || path.starts_with("examples/") {
        return Ok(Vec::new());
    }
    let allowed = match EDGES.iter().find(|(name, _)| *name == package) {
        Some((_, allowed)) => allowed,
        None if path.starts_with("hosts/") => &["rt"].as_slice(),
        None => {
            let advice =
                "a new crate is a change of the design: add it to the table in `xtask/src/tidy/edges.rs`";
            return Ok(vec![violation(path, 1, "crate", advice)]);
        }
    };
    let ours = |name: &str| EDGES.iter().any(|(package, _)| *package == name);
    let mut forbidden: Vec<String> = dependencies(&manifest);
    forbidden.retain(|name| ours(name) && !allowed.contains(&name.as_str()));
    Ok(forbidden
        .iter()
        .map(|name| violation(path, line_of(text, name), "edge", advice(package, name)))
        .collect())
}

fn advice(package: &str, dependency: &str) -> String {
    format!("`{package}` must not depend on `{dependency}`: move what it needs down, or pass it in")
}

/// The names of everything depended on: for use, for tests, for building, for one target only.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let named = tables
        .chain([manifest])
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    let package = |(name, value): (&String, &Value)| {
        let renamed = value.get("package").and_then(Value::as_str);
        renamed.unwrap_or(name).to_owned()
    };
    named.flat_map(|table| table.iter().map(package)).collect()
}

fn line_of(text: &str, dependency: &str) -> usize {
    text.lines().position(|line| line.starts_with(dependency)).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(path, text).expect("a manifest").iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn an_edge_that_points_up_is_found() {
        let manifest =
            "[package]\nname = \"engine\"\n[dependencies]\nrt.workspace = true\nhost.workspace = true\n";
        assert_eq!(rules("crates/engine/Cargo.toml", manifest), [(5, "edge")]);
    }

    #[test]
    fn an_edge_is_found_under_another_name_and_for_one_target_or_kind() {
        let target = "[package]\nname = \"state\"\n[target.'cfg(unix)'.dev-dependencies]\nx = { package = \"node\" }\n";
        assert_eq!(rules("crates/state/Cargo.toml", target), [(1, "edge")]);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(rules("crates/utils/Cargo.toml", "[package]\nname = \"utils\"\n"), [(1, "crate")]);
    }

    #[test]
    fn a_host_leans_on_rt_only() {
        let manifest =
            "[package]\nname = \"mcu\"\n[dependencies]\nrt = { path = \"x\" }\nengine = { path = \"x\" }\n";
        assert_eq!(rules("hosts/mcu/Cargo.toml", manifest), [(5, "edge")]);
    }

    #[test]
    fn allowed_edges_and_dependencies_of_others_pass() {
        let manifest = "[package]\nname = \"engine\"\n[dependencies]\nrt.workspace = true\nserde = \"1\"\n";
        assert_eq!(rules("crates/engine/Cargo.toml", manifest), []);
        assert_eq!(rules("Cargo.toml", "[workspace]\n"), []);
        assert_eq!(rules("guests/p1/Cargo.toml", "[package]\nname = \"p1\"\n"), []);
    }
}
