//! The attacks in `guests/hostile`, under every profile, and the table of them that a reader finds there.

use std::fmt::Write;
use std::fs;

use crate::guests::{self, Suite};
use crate::{CHECKED, DENSE, NATIVE, PORTABLE, SEALED, TRUSTED, check};

#[test]
fn dense() {
    check(Suite::Attacks, &DENSE);
}

#[test]
fn portable() {
    check(Suite::Attacks, &PORTABLE);
}

#[test]
fn sealed() {
    check(Suite::Attacks, &SEALED);
}

#[test]
fn native() {
    check(Suite::Attacks, &NATIVE);
}

#[test]
fn checked() {
    check(Suite::Attacks, &CHECKED);
}

#[test]
fn trusted() {
    check(Suite::Attacks, &TRUSTED);
}

/// Where the table begins, and where it ends.
const TABLE: [&str; 2] = ["| attack | tries | must happen | but |\n|---|---|---|---|\n", "\n\n"];

#[test]
fn the_table_of_attacks_is_what_they_say() {
    let folder = guests::root().join("guests/hostile");
    let mut table = String::new();
    let cases = guests::cases(Suite::Attacks);
    for cases in cases.chunk_by(|one, next| one.guest == next.guest) {
        let file = ["c", "rs", "wat"].map(|extension| format!("{}.{extension}", cases[0].guest));
        let file = file.iter().find(|file| folder.join("..").join(file).is_file()).expect("it has a source");
        let file = file.trim_start_matches("hostile/");
        let [tries, must] =
            [&cases[0].tries, &cases[0].must].map(|text| text.as_deref().expect("an attack says it"));
        let restricted = cases.iter().filter_map(|case| {
            let why = case.why.as_deref()?;
            Some(format!("*{}*: {} only, for {why}", case.name, case.profiles.join(", ")))
        });
        let but: Vec<String> = restricted.collect();
        writeln!(table, "| [{file}]({file}) | {tries} | {must} | {} |", but.join("; "))
            .expect("a string grows");
    }
    let path = folder.join("README.md");
    let text = fs::read_to_string(&path).expect("the table is read");
    let (before, rest) = text.split_once(TABLE[0]).expect("the table has a head");
    let (written, after) = rest.split_once(TABLE[1]).expect("something stands below the table");
    if written != table.trim_end() && std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        let table = table.trim_end();
        fs::write(&path, [before, TABLE[0], table, TABLE[1], after].concat()).expect("the table is written");
    } else {
        assert_eq!(written, table.trim_end(), "BLESS=1 writes the table anew");
    }
}
