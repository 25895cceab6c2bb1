//! Each file of `tests/manifests` is a manifest. Its first lines, up to an empty one, are comments that say what comes
//! of it: `# ok`, or the error as it is shown. `BLESS=1` rewrites them.

mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use image::limits::{MANIFEST_BYTES_MAX, STEPS_MAX};
use image::{Error, Manifest};
use proptest::prelude::*;

fn cases() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The comments that `text` should begin with.
fn verdict(text: &str) -> String {
    let shown = match Manifest::parse(text, "sampan.toml") {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("error: {error}"),
    };
    shown.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_manifest_is_taken_or_refused_as_it_says() {
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let bless = std::env::var_os("BLESS").is_some();
    for (path, text) in cases {
        let (mut expected, manifest) = text.split_once("\n\n").map(|(a, b)| (format!("{a}\n"), b)).unwrap();
        if bless {
            // An error names lines, and they move with the number of the comments.
            for _ in 0..3 {
                expected = verdict(&format!("{expected}\n{manifest}"));
            }
            fs::write(&path, format!("{expected}\n{manifest}")).unwrap();
        }
        assert_eq!(verdict(&format!("{expected}\n{manifest}")), expected, "{}", path.display());
    }
}

fn good() -> Vec<String> {
    let cases = cases().into_iter().map(|(_, text)| text);
    cases.filter(|text| text.starts_with("# ok\n")).collect()
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sampan.schema.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, Manifest::schema()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), Manifest::schema(), "`BLESS=1` rewrites it");
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = serde_json::from_str(&Manifest::schema()).unwrap();
    for text in good() {
        let value = toml::from_str(&text).unwrap();
        assert!(schema::takes(&schema, &schema, &value), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_serde_refuses() {
    let schema = serde_json::from_str(&Manifest::schema()).unwrap();
    let by_serde = ["unknown key", "unknown value", "missing key", "expected "];
    let mut refused = 0;
    for (path, text) in cases() {
        let error = text.strip_prefix("# error: ").unwrap_or_default();
        if by_serde.iter().any(|words| error.starts_with(words))
            && let Ok(value) = toml::from_str(&text)
        {
            assert!(!schema::takes(&schema, &schema, &value), "{}", path.display());
            refused += 1;
        }
    }
    assert!(refused >= 10, "only {refused}");
}

#[test]
fn what_a_manifest_says_survives_being_written() {
    for text in good() {
        let manifest = Manifest::parse(&text, "sampan.toml").unwrap();
        let again = toml::to_string(&manifest).unwrap();
        let again = Manifest::parse(&again, "sampan.toml").expect(&again);
        assert_eq!(serde_json::to_value(manifest).unwrap(), serde_json::to_value(again).unwrap());
    }
}

#[test]
fn steps_of_one_level_need_only_levels_before_it() {
    let levels = |file: &str, chain: &str| {
        let (_, text) = cases().into_iter().find(|(path, _)| path.ends_with(file)).unwrap();
        Manifest::parse(&text, file).unwrap().chains[chain].levels()
    };
    assert_eq!(levels("ok-whole.toml", "checkout"), [vec![0], vec![1, 3], vec![2]]);
    assert_eq!(levels("ok-chain.toml", "c"), [vec![0, 2], vec![1], vec![3], vec![4]]);
}

#[test]
fn what_is_too_large_is_refused() {
    let text = " ".repeat(MANIFEST_BYTES_MAX + 1);
    assert!(matches!(Manifest::parse(&text, "sampan.toml"), Err(Error::TooLarge { .. })));

    let app = "app = { name = \"a\", version = \"0.1.0\" }\nfunctions.f.program = \"f.wasm\"\n";
    let steps: String = (0..=STEPS_MAX)
        .map(|step| format!("[[chains.c.steps]]\nname = \"s{step}\"\ncall = \"f\"\n"))
        .collect();
    let error = Manifest::parse(&format!("{app}{steps}"), "sampan.toml").unwrap_err().to_string();
    assert!(error.starts_with("more than 100 steps\n   --> sampan.toml:304:8\n"), "{error}");

    let buckets: String = (0..=1000).map(|bucket| format!("[buckets.b{bucket}]\n")).collect();
    let error = Manifest::parse(&format!("{app}{buckets}"), "sampan.toml").unwrap_err().to_string();
    assert!(error.starts_with("more than 1000 buckets\n    --> sampan.toml:1003:10\n"), "{error}");

    let routes = "[[routes]]\npath = \"x\"\nfunction = \"g\"\n".repeat(10_000);
    let error = Manifest::parse(&format!("{app}{routes}"), "sampan.toml").unwrap_err().to_string();
    assert!(error.ends_with("\n\nerror: and 19900 more like these"), "{error}");
    assert!(error.len() < 100_000, "{}", error.len());
}

#[test]
fn what_is_shown_of_a_manifest_harms_no_terminal() {
    let escape = "\u{1b}[2J";
    let long = "x".repeat(1 << 19);
    for text in
        [format!("\"\\u001b[2J{long}\" = 1"), format!("app = {{ {escape}"), format!("{long} = {escape}")]
    {
        let error = Manifest::parse(&text, "sampan\r.toml").unwrap_err().to_string();
        assert!(error.len() < 2_000, "{}", error.len());
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        shown(&String::from_utf8_lossy(&bytes));
    }

    /// Pieces of good manifests, cut out, doubled, and put elsewhere, and bytes that are others.
    #[test]
    fn no_mutation_panics(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..40, 0..4), 1..6),
    ) {
        let good = good();
        let mut text = which.get(&good).clone().into_bytes();
        for (at, from, length, edit) in edits {
            let at = at.index(text.len());
            let from = from.index(text.len());
            let piece = text[from..(from + length).min(text.len())].to_vec();
            match edit {
                0 => drop(text.splice(at..(at + length).min(text.len()), piece)),
                1 => drop(text.splice(at..at, piece)),
                2 => drop(text.splice(at..(at + length).min(text.len() - 1), [])),
                _ => text[at] = b"\"[]{}=.,\n\\#'-09azA*/~"[from % 21],
            }
            if text.is_empty() {
                text.push(b'\n');
            }
        }
        shown(&String::from_utf8_lossy(&text));
    }
}

/// Parses, and shows the error, if there is one; a good manifest's chains have all their steps in order.
fn shown(text: &str) {
    match Manifest::parse(text, "sampan.toml") {
        Err(error) => assert!(error.to_string().contains("--> sampan.toml:"), "{error}"),
        Ok(manifest) => {
            manifest.routes.iter().for_each(|route| drop(format!("{:?}", route.target())));
            for chain in manifest.chains.values() {
                assert_eq!(chain.levels().concat().len(), chain.steps.len());
            }
        }
    }
}
