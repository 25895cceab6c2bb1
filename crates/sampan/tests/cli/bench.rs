//! `sampan bench`, for real: that each contestant gives numbers and the pictures can be read. What the numbers are, machines
//! differ in.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::child::{guest, sampan};

/// The contest has many processes, and machines that test are busy.
const DEADLINE: Duration = Duration::from_secs(900);

/// Those of ours that need no tool beside them.
const OURS: [&str; 3] = ["dense", "portable", "sealed"];

fn measured(json: &str) -> Value {
    serde_json::from_str(json).expect("it is JSON")
}

fn contestant<'a>(json: &'a Value, name: &str) -> &'a Value {
    let all = json["contestants"].as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {json:#}"))
}

#[track_caller]
fn is_spread(value: &Value) {
    let number = |name: &str| value[name].as_f64().unwrap_or_else(|| panic!("no `{name}` in {value}"));
    assert!(
        number("low") <= number("median") && number("median") <= number("high") && number("low") > 0.0,
        "{value}"
    );
}

fn stands(one: &Value, layer: &str) -> bool {
    let layers = one["layers"].as_array().expect("a list");
    let found = layers.iter().find(|found| found["name"] == layer);
    found
        .and_then(|found| found["stands"].as_bool())
        .unwrap_or_else(|| panic!("no layer `{layer}` in {one:#}"))
}

#[test]
fn each_contestant_is_measured_and_drawn() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let args = [
        "bench",
        "--rounds",
        "1",
        "--instances",
        "2",
        "--json",
        "--recommend",
        "--picture",
        "dial.svg",
        "--picture",
        "dial.png",
    ];
    let printed = sampan(&args).dir(dir.path()).deadline(DEADLINE).run().well();
    let json = measured(&printed);
    for name in OURS {
        let one = contestant(&json, name);
        for time in ["cold", "cached", "cpu"] {
            is_spread(&one["start"][time]);
            is_spread(&one["run"][time]);
        }
        assert_eq!(one["run"]["warm"].is_null(), name == "sealed", "{one:#}");
        for (memory, instances) in one["memory"].as_array().expect("a list").iter().zip([1, 2]) {
            assert_eq!(memory["instances"], instances, "{one:#}");
            assert!(memory["bytes_each"].as_f64().is_some_and(|bytes| bytes > 1e3), "{one:#}");
        }
        for score in ["performance", "efficiency", "isolation"] {
            let score = one["scores"][score]["median"].as_f64();
            assert!(score.is_some_and(|score| (0.0..=1.0).contains(&score)), "{one:#}");
        }
        for layer in ["memory", "traps", "grants"] {
            assert!(stands(one, layer), "{layer}: {one:#}");
        }
        // Only there is no machine code.
        assert_eq!(stands(one, "interpreted"), name == "portable", "{one:#}");
        for layer in ["processes", "files", "network", "no_new_privs", "seccomp", "Landlock"] {
            assert_eq!(stands(one, layer), name == "sealed", "{layer}: {one:#}");
        }
    }
    // Whoever is not measured is named, with the reason.
    let absent = json["absent"].as_array().expect("a list");
    assert_eq!(json["contestants"].as_array().map_or(0, Vec::len) + absent.len(), 10, "{json:#}");
    assert!(absent.iter().all(|one| one["why"].as_str().is_some_and(|why| !why.is_empty())), "{json:#}");
    assert!(json["recommendation"]["profile"].is_string(), "{json:#}");

    let svg = fs::read_to_string(dir.path().join("dial.svg")).expect("it was drawn");
    let svg = roxmltree::Document::parse(&svg).expect("it is XML");
    assert_eq!(svg.root_element().tag_name().name(), "svg");
    let texts = svg.descendants().filter(|node| node.tag_name().name() == "text");
    let texts: Vec<&str> = texts.filter_map(|node| node.text()).map(str::trim).collect();
    for name in OURS {
        assert_eq!(texts.iter().filter(|text| **text == name).count(), 2, "`{name}` in {texts:?}");
    }
    let png = fs::read(dir.path().join("dial.png")).expect("it was drawn");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xae\x42\x60\x82"));
    assert_eq!(png[16..24], [0, 0, 5, 0, 0, 0, 2, 208], "1280 by 720");
}

#[test]
fn whoever_does_something_else_is_not_fast_but_wrong() {
    let args = [
        "bench",
        "--rounds",
        "1",
        "--instances",
        "1",
        "--json",
        "--only",
        "dense,native",
        "--native",
        "echo",
    ];
    let json = measured(&sampan(&args).deadline(DEADLINE).run().well());
    assert_eq!(json["contestants"].as_array().map(Vec::len), Some(1), "{json:#}");
    let absent = &json["absent"][0];
    assert_eq!(
        (&absent["name"], &absent["why"]),
        (&"native".into(), &"wrong: it printed something else".into())
    );
}

#[test]
fn a_native_program_that_does_the_same_takes_part() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let native = dir.path().join("hello");
    fs::write(&native, "#!/bin/sh\nread word && echo hello $word \"$@\"\n").expect("it is written");
    fs::set_permissions(&native, Permissions::from_mode(0o755)).expect("it may be run");
    // It reads its input, and a program that has none is wrong about that.
    fs::write(dir.path().join("input"), "\n").expect("it is written");
    let flags = [
        "bench",
        "--rounds",
        "1",
        "--instances",
        "1",
        "--only",
        "dense,native",
        "--json",
        "--native",
        "./hello",
    ];
    let run = |input: &[&str]| {
        let run = input.iter().fold(sampan(&flags), |run, flag| run.arg(flag));
        let run = run.arg(guest("c/hello.wasm")).arg("big").arg("world").dir(dir.path());
        measured(&run.deadline(DEADLINE).run().well())
    };
    let json = run(&["--input", "input"]);
    is_spread(&contestant(&json, "native")["run"]["cached"]);
    is_spread(&contestant(&json, "dense")["run"]["cached"]);
    // Neither of them waits: it is said that memory was seen while they ran.
    let how = contestant(&json, "dense")["memory"][0]["how"].as_str().unwrap_or_default();
    assert!(how.starts_with("it does not wait"), "{json:#}");
    assert_eq!(run(&[])["absent"][0]["why"], "wrong: it ended with 1 rather than 0");
}

#[test]
fn what_answers_requests_is_served_and_asked() {
    let args = ["bench", "--rounds", "1", "--json", "--only", "dense,sealed,native"];
    let run = sampan(&args).arg(guest("app/hello.wasm")).deadline(DEADLINE).run();
    let json = measured(&run.well());
    for name in ["dense", "sealed"] {
        let one = contestant(&json, name);
        is_spread(&one["call"]);
        is_spread(&one["start"]["cold"]);
        is_spread(&one["start"]["cached"]);
        assert!(one["memory"][0]["bytes_each"].as_f64().is_some_and(|bytes| bytes > 1e5), "{one:#}");
        assert!(one["scores"]["performance"]["median"].is_f64(), "{one:#}");
    }
    assert_eq!(json["absent"][0]["why"], "it serves no WebAssembly", "{json:#}");
}
