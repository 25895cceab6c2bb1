//! `guests/hostile/neighbour.c`, served beside a function with a secret.

use std::thread;

use crate::app::{App, Served};
use crate::client::Request;

const SECRET: &str = "tulip-3141592653";

/// Bytes by which the node may grow while a function floods it: what it keeps of logs is 160 MiB at most.
const GROWTH_BYTES_MAX: u64 = 256 << 20;

fn serve(profile: &str) -> Served {
    let app = format!(
        r#"
        [functions.victim]
        program = "$GUESTS/p1/cgi.wasm"
        env = {{ SECRET = "{SECRET}" }}
        profile = "{profile}"
        [functions.neighbour]
        program = "$GUESTS/hostile/neighbour.wasm"
        profile = "{profile}"
        limits = {{ deadline = "60s" }}
        [[routes]]
        host = "victim"
        path = "/{{*rest}}"
        function = "victim"
        [[routes]]
        path = "/{{*rest}}"
        function = "neighbour"
        "#
    );
    App::new(&app).serve()
}

/// Whether the other function answers as ever.
#[track_caller]
fn victim_is_well(served: &Served) {
    let told = served.ask(&Request::new("GET", "/variables").header("host", "victim")).well();
    assert!(told.lines().any(|line| line == format!("SECRET={SECRET}")), "{told}");
}

fn attacked(profile: &str) {
    let served = serve(profile);
    for _ in 0..5 {
        victim_is_well(&served);
        assert_eq!(served.text("/search"), "0 bytes are not as new\n");
        assert!(!served.text("/environment").contains("SECRET"));
    }

    assert_eq!(served.text("/forge"), "said\n");
    served.says("neighbour | \u{fffd}victim | forged");
    let said = served.said();
    assert!(!said.contains(['\r', '\x1b', '\x0b']), "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("victim |")), "{said}");

    let before = served.resident_bytes();
    for path in ["/many-lines", "/long-lines", "/no-line"] {
        thread::scope(|scope| {
            let flood = scope.spawn(|| served.text(path));
            for _ in 0..5 {
                victim_is_well(&served);
            }
            assert_eq!(flood.join().expect("it answers"), "said\n", "{path}");
        });
    }
    // An answer without end is none.
    assert_eq!(served.get("/answer").status, 500);
    victim_is_well(&served);
    let grown = served.resident_bytes().saturating_sub(before);
    println!("{profile}: the node has grown by {} MiB", grown >> 20);
    assert!(grown < GROWTH_BYTES_MAX, "the node has grown by {grown} bytes");
    assert!(!served.stop().contains(SECRET));
}

#[test]
fn a_hostile_neighbour_finds_and_drowns_nobody_under_dense() {
    attacked("dense");
}

#[test]
fn a_hostile_neighbour_finds_and_drowns_nobody_under_portable() {
    attacked("portable");
}

#[test]
fn a_hostile_neighbour_finds_and_drowns_nobody_under_sealed() {
    attacked("sealed");
}
