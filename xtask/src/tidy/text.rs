//! Rules for every tracked text file.

use super::{Violation, lines, violation};

const ARCHITECTURE_LINES_MAX: usize = 250;

/// Files whose every byte may matter (expected outputs) are not among them.
const WITHOUT_TRAILING_SPACE: [&str; 13] =
    ["c", "h", "js", "json", "md", "mjs", "py", "rs", "sh", "svg", "toml", "wat", "wit"];

/// Hosts of package registries, in halves so that this file does not name them.
const REGISTRY_HOSTS: [(&str, &str); 6] = [
    ("crates", ".io"),
    ("npmjs", ".org"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("proxy.golang", ".org"),
    ("deb.debian", ".org"),
];

/// Where people's home directories lie, in halves for the same reason.
const HOMES: [(&str, &str); 3] = [("/ho", "me/"), ("/ro", "ot/"), ("/Us", "ers/")];

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if path.rsplit_once('.').is_some_and(|(_, extension)| WITHOUT_TRAILING_SPACE.contains(&extension)) {
        let advice = "remove the white space at the end of the line";
        found.extend(lines(path, text, "trailing-space", advice, |line| line != line.trim_end()));
    }
    for (start, end) in REGISTRY_HOSTS {
        let host = format!("{start}{end}");
        // The name of the index, which is a repository's, stands in every `Cargo.lock`.
        let names_host = |line: &str| line.replace(&format!("{host}-index"), "").contains(&host);
        found.extend(lines(
            path,
            text,
            "registry-host",
            "name the package, not the registry's host",
            names_host,
        ));
    }
    for (start, end) in HOMES {
        let home = format!("{start}{end}");
        let advice = "say where the file lies without naming anybody's home directory";
        found.extend(lines(path, text, "home-path", advice, |line| line.contains(&home)));
    }
    if path == "docs/ARCHITECTURE.md" && text.lines().count() > ARCHITECTURE_LINES_MAX {
        let advice =
            format!("shorten it to {ARCHITECTURE_LINES_MAX} lines: what is longer is not an overview");
        found.push(violation(path, ARCHITECTURE_LINES_MAX + 1, "length", advice));
    }
    found
}

/// Files that the list of tracked ones must contain.
pub(super) fn missing(list: &str) -> Vec<Violation> {
    match list.lines().any(|path| path == "README.md") {
        true => Vec::new(),
        false => {
            vec![violation("README.md", 1, "missing", "write what the project is and its first two commands")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(path, text).iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn trailing_space_is_found_except_in_expected_output() {
        assert_eq!(rules("a.toml", "a\nb \nc\t\n"), [(2, "trailing-space"), (3, "trailing-space")]);
        assert_eq!(rules("a.stdout", "a \n"), []);
    }

    #[test]
    fn registry_hosts_are_found_except_the_name_of_the_index() {
        for (start, end) in REGISTRY_HOSTS {
            assert_eq!(rules("a.md", &format!("see https://{start}{end}/x\n")), [(1, "registry-host")]);
        }
        let (start, end) = REGISTRY_HOSTS[0];
        assert_eq!(rules("Cargo.lock", &format!("source = \"registry+{start}{end}-index\"\n")), []);
    }

    #[test]
    fn home_paths_are_found() {
        for (start, end) in HOMES {
            assert_eq!(rules("a.md", &format!("ok\n{start}{end}me/x\n")), [(2, "home-path")]);
        }
    }

    #[test]
    fn a_long_overview_is_found() {
        let text = "x\n".repeat(ARCHITECTURE_LINES_MAX);
        assert_eq!(rules("docs/ARCHITECTURE.md", &text), []);
        assert_eq!(rules("docs/ARCHITECTURE.md", &format!("{text}x\n")), [(251, "length")]);
    }

    #[test]
    fn a_missing_readme_is_found() {
        assert_eq!(missing("Cargo.toml\nREADME.md\n"), []);
        assert_eq!(missing("Cargo.toml\ndocs/README.md\n").len(), 1);
    }
}
