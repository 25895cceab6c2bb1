//! Rust's standard library on WASI 0.1.
//!
//! source: std::env, std::fs, std::io, std::time on wasm32-wasip1
//! case: arguments, environment and an exit code
//! sampan: --env A=1
//! args: show "two words"
//! exit: 42
//! stdout: ["std.wasm", "show", "two words"]
//! stdout: [("A", "1")]
//! case: files
//! sampan: --dir $DIR:/data
//! args: files
//! file in.txt: content
//! exit: 0
//! after made.txt: made
//! after copy.txt: content
//! case: clocks
//! args: clocks
//! exit: 0
//! case: a panic
//! args: panic
//! exit: 1
//! stderr~: panicked at src/bin/std.rs
//! stderr~: std.wasm` trapped
//! stderr~: cause: `unreachable` instruction executed

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "show" => {
            println!("{args:?}\n{:?}", std::env::vars().collect::<Vec<_>>());
            std::process::exit(42);
        }
        "files" => files(),
        "clocks" => clocks(),
        other => panic!("no such case: {other}"),
    }
}

/// Rust has no name for it on WASI.
const ENOTEMPTY: i32 = 55;

fn files() {
    assert_eq!(fs::read_to_string("/data/in.txt").expect("read"), "content\n");
    fs::write("/data/made.txt", "made\n").expect("written");
    fs::copy("/data/in.txt", "/data/copy.txt").expect("copied");
    fs::create_dir_all("/data/a/b/c").expect("created");
    fs::write("/data/a/b/c/f", "").expect("written");
    assert_eq!(fs::remove_dir("/data/a").expect_err("not empty").raw_os_error(), Some(ENOTEMPTY));
    fs::remove_dir_all("/data/a").expect("removed");
    let mut names: Vec<_> =
        fs::read_dir("/data").expect("read").map(|entry| entry.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["copy.txt", "in.txt", "made.txt"]);
    assert_eq!(fs::read("/data/none").expect_err("not there").kind(), ErrorKind::NotFound);
    assert!(
        fs::metadata("/data/in.txt").expect("described").modified().expect("a time") > SystemTime::UNIX_EPOCH
    );
}

fn clocks() {
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    assert!(begin.elapsed() >= Duration::from_millis(20));
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600));
}
