//! What `sampan build` makes of native code for use elsewhere: libraries with headers, and executables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::child::{Ended, guest, sampan, shell};

const ADD: &str = "(module (func (export \"add\") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))";

const MAIN: &str = "#include <stdio.h>
#include \"add.h\"
int main(void) {
    add_instance *instance;
    int32_t sum = 0;
    if (add_instance_new(NULL, &instance) != SAMPAN_OK) return 1;
    add_add(instance, 2, 3, &sum);
    add_instance_free(instance);
    printf(\"%d\\n\", sum);
    return 0;
}
";

/// A directory with `add.wat` and a C program that uses it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("add.wat"), ADD).expect("it can be written");
    fs::write(directory.path().join("main.c"), MAIN).expect("it can be written");
    directory
}

fn build(directory: &Path, args: &[&str]) -> Ended {
    sampan(&[&["build", "--codegen", "native"], args].concat()).dir(directory).run()
}

/// The whole complaint of a build that is refused.
fn refused(directory: &Path, args: &[&str]) -> String {
    let ended = build(directory, args);
    assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
    ended.stderr
}

#[test]
fn a_library_is_built_and_linked() {
    let directory = directory();
    for library in ["add.o", "add.so"] {
        let ended = build(directory.path(), &["--bounds", "checked", "add.wat", "-o", library]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{library}");
        let linked = format!("cc -Wall -Werror main.c ./{library} -o main && ./main");
        let ended = shell(&linked).dir(directory.path()).run();
        assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &b"5\n"[..]), "{library}: {}", ended.stderr);
    }
    // The header was made here, so that it may be made again; nothing else lies about.
    let mut files: Vec<PathBuf> = fs::read_dir(directory.path())
        .expect("it is there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let names =
        files.iter().map(|file| file.file_name().expect("a name").to_string_lossy()).collect::<Vec<_>>();
    assert_eq!(names, ["add.h", "add.o", "add.so", "add.wat", "main", "main.c"]);
}

#[test]
fn what_is_no_library_is_refused() {
    let directory = directory();
    let (path, write) = (directory.path(), |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("it can be written");
    });
    write("mine.h", "int mine;\n");
    write("component.wat", "(component)");
    write("memory.wat", "(module (import \"env\" \"memory\" (memory 1)))");
    let cases: [(&[&str], &str); 7] = [
        (&["add.wat", "-o", "mine.so"], "what is there was not made by `sampan build`"),
        (&["component.wat", "-o", "x.so"], "a component is no library for C, only a module is"),
        (&["memory.wat", "-o", "x.so"], "it imports the memory `env.memory`"),
        (&["--target", "sparc", "add.wat", "-o", "x.o"], "hint: one of `x86_64-unknown-linux-gnu`, "),
        (&["--target", "thumbv7em-none-eabihf", "add.wat", "-o", "x.so"], "hint: name an object"),
        (&["--target", "aarch64-unknown-linux-gnu", "add.wat", "-o", "x"], "`--target` is for libraries"),
        (&["--dir", ".", "add.wat", "-o", "x.so"], "grants are for executables"),
    ];
    for (args, complaint) in cases {
        let said = refused(path, args);
        assert!(said.contains(complaint), "{args:?}: {said}");
        assert!(!path.join("x.so").exists() && !path.join("x.o").exists() && !path.join("x").exists());
    }
    let ended = sampan(&["build", "add.wat", "-o", "x.so"]).dir(path).run();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("hint: add `--codegen native`"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(path.join("mine.h")).expect("it is there"), "int mine;\n");
}

#[test]
fn what_was_built_as_native_code_runs_without_a_word() {
    let directory = directory();
    let built = build(directory.path(), &["add.wat", "-o", "add.code"]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let run = |profile| {
        let args = ["run", "--profile", profile, "--invoke", "add", "add.code", "2", "3"];
        sampan(&args).dir(directory.path()).run()
    };
    for profile in ["dense", "sealed"] {
        let ended = run(profile);
        assert_eq!((ended.code, &*ended.stdout), (Some(0), &b"5\n"[..]), "{profile}: {}", ended.stderr);
    }
    let ended = run("portable");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("`add.code` is native code"), "{}", ended.stderr);
}

/// Runs an executable as somebody would who knows nothing of `sampan`: without a home, and with no tools.
fn run(directory: &Path, name: &str, args: &[&str]) -> Output {
    let mut command = Command::new(directory.join(name));
    command.args(args).current_dir(directory).env_clear().env("FROM_OUTSIDE", "passed on");
    command.output().expect("it runs")
}

#[test]
fn an_executable_runs_alone_with_the_grants_that_it_was_built_with() {
    let directory = directory();
    let path = directory.path();
    let program = guest("c/grants.wasm");
    let program = program.to_str().expect("a path of text");
    fs::write(path.join("in.txt"), "content").expect("it can be written");

    assert_eq!(build(path, &[program, "-o", "denied"]).code, Some(0));
    let output = run(path, "denied", &["open", "in.txt"]);
    assert_eq!(output.status.code(), Some(1));
    // What looks like a flag is the program's: nobody is granted more by asking.
    let output = run(path, "denied", &["open", "in.txt", "--dir", "."]);
    assert_eq!(output.status.code(), Some(1));

    assert_eq!(build(path, &["--dir", ".", program, "-o", "granted"]).code, Some(0));
    let output = run(path, "granted", &["open", "in.txt"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "open in.txt: content");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_executable_gives_its_program_all_arguments() {
    let directory = directory();
    let program = guest("c/args.wasm");
    let program = program.to_str().expect("a path of text");
    let grants = ["--env", "A=1", "--env", "FROM_OUTSIDE", "--timeout", "100s", program, "-o", "tell"];
    assert_eq!(build(directory.path(), &grants).code, Some(0));
    let output = run(directory.path(), "tell", &["--help", "--", "-O", ""]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "[tell]\n[--help]\n[--]\n[-O]\n[]\nA=1\nFROM_OUTSIDE=passed on\n");
    assert_eq!(run(directory.path(), "tell", &["exit", "7"]).status.code(), Some(7));
    // Cut short, it says so, and does not take itself for `sampan`.
    let path = directory.path().join("tell");
    let whole = fs::read(&path).expect("it is there");
    let end = whole.len() - 32;
    let broken = [&whole[..end], &u64::MAX.to_le_bytes(), &whole[end + 8..]].concat();
    fs::write(&path, broken).expect("it can be written");
    let output = run(directory.path(), "tell", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("what is appended to it is not whole"));
}

/// zlib in a sandbox, linked into a C program as its user does: `examples/embed`.
#[test]
fn a_real_library_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("target/examples/embed/embed");
    assert!(program.is_file(), "no `{}`: run `cargo xtask test`", program.display());
    let output = Command::new(program).arg(root.join("Cargo.lock")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said,
        "compressed, uncompressed: the same\nzlib itself: the same bytes\ndamaged stream: an error\n\
         heartbeat: out of bounds memory access\n"
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
