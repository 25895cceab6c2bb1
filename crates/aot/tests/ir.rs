//! What becomes of a module: each `tests/ir/*.wat` says in its first line under which policy and precision, and beside
//! it lies the text of its functions, `.ll`. `BLESS=1` rewrites those.

use std::fs;
use std::path::{Path, PathBuf};

use aot::{Assembly, Clang, Error, Output, Precision, Target};
use rt::Policy;

fn target() -> Target {
    Target::new("x86_64-unknown-linux-gnu").unwrap()
}

#[test]
fn modules_become_the_expected_text() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wat"));
    files.sort();
    assert!(!files.is_empty(), "nothing to test");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let found = functions(&text);
        let expected = file.with_extension("ll");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(expected).unwrap_or_default();
        assert!(
            found == expected,
            "`{}` changed; if that is right, run again with BLESS=1\n{found}",
            file.display()
        );
    }
}

/// The functions of a module, without what all modules have.
fn functions(wat: &str) -> String {
    let mut words = wat.lines().next().and_then(|line| line.strip_prefix(";; ")).unwrap().split(' ');
    let policy = words.next().unwrap();
    let policy = Policy::ALL.into_iter().find(|of| of.name() == policy).expect("a policy");
    let precision = match words.next() {
        Some("relaxed") => Precision::Relaxed,
        _ => Precision::Precise,
    };
    let mut assembly = Assembly::new(target());
    assembly.add("m", &wat::parse_str(wat).unwrap(), policy, precision).unwrap();
    let text = assembly.finish();
    let functions = text.split("\n\n").filter(|part| part.starts_with("define internal tailcc"));
    functions.collect::<Vec<_>>().join("\n\n") + "\n"
}

fn refusal(wat: &str) -> Error {
    let mut assembly = Assembly::new(target());
    assembly.add("m", &wat::parse_str(wat).unwrap(), Policy::Guarded, Precision::Precise).unwrap_err()
}

#[test]
fn what_native_code_does_not_have_is_refused_by_name() {
    for (wat, name) in [
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (tag))", "exception-handling"),
        ("(module (func (param (ref func))))", "function-references"),
        ("(module (type (struct)))", "gc"),
    ] {
        assert!(matches!(refusal(wat), Error::Proposal(found) if found == name), "{wat}: {:?}", refusal(wat));
    }
    assert!(matches!(refusal("(module (func (result i32)))"), Error::Invalid(_)));
    assert!(matches!(refusal("(component)"), Error::Component));
}

/// What all targets have in common becomes an object for each; what one of them lacks is refused or done otherwise.
#[test]
fn modules_become_objects_for_every_target() {
    let clang = Clang::find(&std::env::var_os("PATH").unwrap()).unwrap();
    let numbers = "(module (memory 1) (func (export \"f\") (param f64 i64) (result f64)
        (f64.min (f64.nearest (local.get 0)) (f64.load (i32.wrap_i64 (local.get 1))))))";
    let lanes = "(module (memory 1) (func (export \"f\") (param v128 i32) (result v128)
        (f32x4.max (f32x4.ceil (local.get 0)) (v128.load (local.get 1)))))";
    let tail = "(module (func $f (export \"f\") (param i32) (return_call $f (local.get 0))))";
    for target in Target::ALL {
        for wat in [numbers, lanes, tail] {
            let mut assembly = Assembly::new(target);
            let wasm = wat::parse_str(wat).unwrap();
            let added = assembly.add("m", &wasm, Policy::Guarded, Precision::Precise);
            if wat == tail && target.triple.starts_with("riscv") {
                assert!(matches!(added, Err(Error::Proposal("tail-call"))), "{added:?}");
                continue;
            }
            added.unwrap();
            let text = assembly.finish();
            let compares = text.contains("icmp uge i64");
            assert_eq!(compares, wat != tail && target.pointer_bytes == 4, "pages guard where there are any");
            let object = clang.compile(&text, &target, target.cpu, 2, Output::Relocatable).unwrap();
            assert_eq!(object[..5], [0x7f, b'E', b'L', b'F', if target.pointer_bytes == 8 { 2 } else { 1 }]);
        }
    }
}

/// One that does not touch the pages of large frames would let them reach past those that guard the stack.
#[test]
fn a_clang_that_is_too_old_for_a_target_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("clang-19"), "").unwrap();
    let clang = Clang::find(directory.path().as_os_str()).unwrap();
    let target = Target::new("riscv64gc-unknown-linux-gnu").unwrap();
    let refused = clang.compile("", &target, target.cpu, 2, Output::Relocatable).unwrap_err();
    assert!(matches!(refused, Error::ClangTooOld { oldest: 22, .. }), "{refused}");
}

/// Blocks in blocks that each have 900 results, and a branch to all of them: 60 KiB that would become gigabytes.
#[test]
fn what_becomes_too_much_text_is_refused() {
    let (targets, values) = (20_000, 900);
    let results = "i32 ".repeat(values);
    let (blocks, ends) = ("block (type 0) ".repeat(targets), "end ".repeat(targets));
    let depths: Vec<String> = (0..targets).map(|depth| depth.to_string()).collect();
    let wat = format!(
        "(module (type (func (result {results}))) (func (type 0) {blocks} {} (br_table {} (i32.const 0)) {ends}))",
        "i32.const 1 ".repeat(values),
        depths.join(" ")
    );
    assert!(matches!(refusal(&wat), Error::TooLarge));
}
