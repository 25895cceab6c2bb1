//! Files through WASI 0.2, as Rust's standard library uses them.
//!
//! source: WASI 0.2 wasi:filesystem types, preopens: errors by name, and no path leads out of a directory
//! case: what a directory holds can be read, made, changed and removed
//! sampan: --dir $DIR:/data
//! args: use
//! file in.txt: content
//! link out: ../out/secret.txt
//! link parent: ..
//! exit: 0
//! after made: new
//! case: a directory for reading only
//! sampan: --dir $DIR:/data:ro
//! args: read-only
//! file in.txt: content
//! link out: ../out/secret.txt
//! link parent: ..
//! exit: 0
//! after in.txt: content
//! case: two directories
//! sampan: --dir $DIR/a:/one --dir $DIR/b:/two:ro
//! args: two
//! file a/in.txt: from a
//! file b/in.txt: from b
//! exit: 0
//! after a/in.txt: from a
//! case: no directory
//! args: none
//! exit: 1
//! stdout: entity not found
//! stderr~: hint: it was granted no directory for its files; `--dir HOST[:GUEST]` grants it

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::process::ExitCode;

/// Rust has no name for it on WASI.
const ENOTEMPTY: i32 = 55;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("use") => uses(),
        Some("read-only") => changes_nothing(),
        Some("two") => two(),
        Some("none") => {
            let error = File::open("/data/in.txt").expect_err("nothing is granted");
            println!("{}", error.kind());
            return ExitCode::FAILURE;
        }
        other => panic!("no such case: {other:?}"),
    }
    ExitCode::SUCCESS
}

fn stays_inside() {
    for path in [
        "/etc/passwd",
        "/data/../out/secret.txt",
        "/data/out",
        "/data/parent/out/secret.txt",
        "/data/x/../../out",
    ] {
        let refused = fs::read(path).expect_err(path).kind();
        assert!(matches!(refused, ErrorKind::PermissionDenied | ErrorKind::NotFound), "{path}: {refused:?}");
    }
}

fn uses() {
    stays_inside();
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).open("/data/made").expect("made");
    file.write_all(b"NEW and more").expect("written");
    file.seek(SeekFrom::Start(0)).expect("sought");
    file.write_all(b"new\n").expect("written over");
    file.set_len(4).expect("cut");
    assert_eq!(file.seek(SeekFrom::End(-3)).expect("sought"), 1);
    let mut rest = String::new();
    file.read_to_string(&mut rest).expect("read");
    assert_eq!(rest, "ew\n");
    assert_eq!(File::create_new("/data/made").expect_err("made once").kind(), ErrorKind::AlreadyExists);

    fs::create_dir("/data/d").expect("created");
    fs::rename("/data/in.txt", "/data/d/moved").expect("moved");
    assert_eq!(fs::read("/data/d/moved").expect("read"), b"content\n");
    assert_eq!(fs::remove_dir("/data/d").expect_err("not empty").raw_os_error(), Some(ENOTEMPTY));
    fs::hard_link("/data/d/moved", "/data/hard").expect("linked");
    fs::remove_dir_all("/data/d").expect("removed");
    assert_eq!(fs::read("/data/hard").expect("read"), b"content\n");
    let mut names: Vec<_> =
        fs::read_dir("/data").expect("read").map(|entry| entry.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["hard", "made", "out", "parent"]);
}

fn changes_nothing() {
    stays_inside();
    assert_eq!(fs::read("/data/in.txt").expect("read"), b"content\n");
    let refusals = [
        OpenOptions::new().append(true).open("/data/in.txt").map(drop),
        File::create("/data/in.txt").map(drop),
        File::create_new("/data/new").map(drop),
        fs::create_dir("/data/new"),
        fs::remove_file("/data/in.txt"),
        fs::rename("/data/in.txt", "/data/new"),
        fs::hard_link("/data/in.txt", "/data/new"),
    ];
    for (position, refusal) in refusals.iter().enumerate() {
        let kind = refusal.as_ref().map_err(std::io::Error::kind);
        assert_eq!(kind, Err(ErrorKind::PermissionDenied), "call {position}");
    }
}

fn two() {
    assert_eq!(fs::read("/one/in.txt").expect("read"), b"from a\n");
    assert_eq!(fs::read("/two/in.txt").expect("read"), b"from b\n");
    for (from, to) in [("/one/in.txt", "/two/new"), ("/two/in.txt", "/one/new")] {
        assert!(fs::rename(from, to).is_err() && fs::hard_link(from, to).is_err(), "{from}");
    }
}
