//! Finds the guests: their sources under `guests/`, and the programs that `cargo xtask guests` made of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::case::Case;

/// Each directory of sources, and the extension of a source in it.
const KINDS: [(&str, &str, &str); 9] = [
    ("c", "", "c"),
    ("p1", "src/bin", "rs"),
    ("p2", "src/bin", "rs"),
    ("p3", "examples", "rs"),
    ("js", "", "js"),
    ("wat", "", "wat"),
    (HOSTILE, "", "c"),
    (HOSTILE, "", "rs"),
    (HOSTILE, "", "wat"),
];

/// The directory of the attacks.
const HOSTILE: &str = "hostile";

/// Which guests.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Suite {
    /// Those that say how a program behaves.
    Behaviour,
    /// Those that try what they must not.
    Attacks,
}

struct Guest {
    name: String,
    source: PathBuf,
    program: PathBuf,
}

/// Every case of every guest of a suite.
pub(crate) fn cases(suite: Suite) -> Vec<Case> {
    let mut cases = Vec::new();
    for guest in guests().filter(|guest| (suite == Suite::Attacks) == guest.name.starts_with(HOSTILE)) {
        let source = read(&guest.source);
        match Case::parse_all(&guest.name, &guest.program, &source) {
            Ok(found) => cases.extend(found),
            Err(reason) => panic!("{reason}"),
        }
    }
    if let Some(case) = cases.iter().find(|case| !case.program.is_file()) {
        panic!("`{}` is not built\n\nhint: run `cargo xtask test`", case.program.display());
    }
    cases
}

/// The guests that have no case, and that no other test, example or benchmark names either.
pub(crate) fn silent() -> Vec<String> {
    let root = root();
    let mut texts = String::new();
    for place in ["crates", "bench", "xtask", "examples"] {
        gather(&root.join(place), &mut texts);
    }
    let has_case = |guest: &Guest| {
        !Case::parse_all(&guest.name, &guest.program, &read(&guest.source))
            .is_ok_and(|cases| cases.is_empty())
    };
    let is_named = |guest: &Guest| {
        let (_, short) = guest.name.split_once('/').expect("kind/name");
        texts.contains(&guest.name)
            || texts.contains(&format!("{short}.wasm"))
            || texts.contains(&format!("\"{short}\""))
    };
    guests().filter(|guest| !has_case(guest) && !is_named(guest)).map(|guest| guest.name).collect()
}

fn guests() -> impl Iterator<Item = Guest> {
    KINDS.into_iter().flat_map(|(kind, inside, extension)| {
        let sources = root().join("guests").join(kind).join(inside);
        files(&sources)
            .into_iter()
            .filter(move |file| file.extension().is_some_and(|found| found == extension))
            .map(move |source| {
                let stem = source.file_stem().expect("a file").to_string_lossy().into_owned();
                let program = match extension {
                    "wat" => source.clone(),
                    _ => built(&format!("{kind}/{stem}.wasm")),
                };
                Guest { name: format!("{kind}/{stem}"), source, program }
            })
    })
}

/// Where the program `KIND/NAME.wasm` lies.
pub(crate) fn built(name: &str) -> PathBuf {
    let built = std::env::var_os("SAMPAN_GUESTS").expect("SAMPAN_GUESTS is not set: run `cargo xtask test`");
    PathBuf::from(built).join(name)
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()))
}

/// The files of a directory, sorted; none where there is no such directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.sort();
    files
}

/// Appends every Rust and TOML source under `directory`.
fn gather(directory: &Path, texts: &mut String) {
    for file in files(directory) {
        if file.is_dir() && !file.ends_with("target") {
            gather(&file, texts);
        } else if file.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            texts.push_str(&read(&file));
        }
    }
}
