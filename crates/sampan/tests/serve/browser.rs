//! The console in a real browser: it is read in the light, in the dark, on a telephone, by keyboard, and without scripts.
//! `browser.cjs` says what must hold; it leaves pictures of every page in `target/console/`.

use std::path::Path;
use std::process::Command;

use crate::client::Request;
use crate::console;

#[test]
fn the_console_in_a_browser() {
    let playwright =
        std::env::var("SAMPAN_PLAYWRIGHT").expect("$SAMPAN_PLAYWRIGHT is set: run `cargo xtask test`");
    let (served, console, _) = console::serve(console::app(), "127.0.0.1:0");
    for number in 0..120 {
        served.ask(&Request::new("POST", &format!("/count/ship-{number}"))).well();
    }
    for call in ["/say?ahoy", "/say?ahoy", "/trap", "/headers", "/sleep?30"] {
        served.get(call);
    }
    for body in [&b"{\"a\":1}"[..], b"[1,2,3]", b"{\"fail\":\"no wind\"}"] {
        served.ask(&Request::new("POST", "/pair").header("content-type", "application/json").body(body));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/browser.cjs");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../console");
    std::fs::create_dir_all(&pictures).expect("a directory is made");
    let run = Command::new("node")
        .arg(script)
        .args([playwright, format!("http://{console}"), format!("http://{}", served.address)])
        .arg(pictures)
        .output()
        .expect("`node` runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
}
