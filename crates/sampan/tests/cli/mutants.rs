//! Damaged programs through the whole command: bytes changed, cut out and put in, by a seed that a failure names.

use std::fs;

use crate::child::{guest, sampan};

const MUTANTS_PER_PROGRAM: u64 = 70;

/// Marsaglia's xorshift64: a few bits that are the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// One to three changes of one of five kinds. The first eight bytes mostly stay: beyond them it gets interesting.
fn mutate(program: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = program.to_vec();
    for _ in 0..=random.below(3) {
        let from = if random.below(20) == 0 { 0 } else { 8.min(bytes.len() - 1) };
        let at = from + random.below(bytes.len() - from);
        match random.below(10) {
            0 => bytes.truncate(at + 1),
            1 => drop(bytes.drain(at..bytes.len().min(at + 1 + random.below(16)))),
            2 => bytes.insert(at, random.below(256) as u8),
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// A module that has a bit of everything, and a component around one.
const MODULE: &str = r#"(module
  (type $pair (struct (field i32) (field (mut i64))))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 4) (table 4 funcref) (elem (i32.const 0) $f $g) (tag $oops (param i32))
  (global $count (mut i32) (i32.const 7)) (data (i32.const 0) "\08\00\00\00\03\00\00\00hi\n") (data $passive "abc")
  (func $f (param i32) (result i32) (i32.add (local.get 0) (global.get $count)))
  (func $g (param f64 v128) (result f64)
    (f64.mul (local.get 0) (f64x2.extract_lane 1 (f64x2.sqrt (local.get 1)))))
  (func (export "_start") (local i32) (local (ref null $pair))
    (block $caught (result i32)
      (try_table (catch $oops $caught)
        (local.set 1 (struct.new $pair (i32.const 1) (i64.const 2)))
        (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 3))
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))
        (throw $oops (call_indirect (param i32) (result i32) (i32.const 5) (i32.const 0))))
      (i32.const 0))
    drop
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;
const COMPONENT: &str = r#"(component
  (core module $m (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "greet") (param i32 i32) (result i32) (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1)) (i32.const 0)))
  (core instance $i (instantiate $m))
  (type $answer (record (field "text" string) (field "times" u32)))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory $i "memory") (realloc (func $i "realloc")))))"#;

#[test]
fn damaged_programs_end_calmly() {
    let binary = |text: &str| engine::binary(text.as_bytes()).expect("it is valid text").into_owned();
    let mut programs = vec![
        ("module", binary(MODULE), "_start"),
        ("component", binary(COMPONENT), "greet(\"you\")"),
        ("text", MODULE.as_bytes().to_vec(), "_start"),
    ];
    for name in ["c/hello.wasm", "p1/hello.wasm", "p2/hello.wasm", "p3/hello.wasm"] {
        programs.push((name, fs::read(guest(name)).expect("the guest is built"), ""));
    }
    let dir = tempfile::tempdir().expect("a directory is made");
    let file = dir.path().join("mutant.wasm");
    let (mut ran_all, mut refused_all) = (0, 0);
    for (name, program, function) in &programs {
        let (mut ran, mut refused, mut failed) = (0, 0, 0);
        for seed in 1..=MUTANTS_PER_PROGRAM {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            fs::write(&file, mutate(program, &mut random)).expect("the mutant is written");
            println!("{name}, seed {seed}");
            sampan(&["inspect"]).arg(&file).run().is_calm();
            let limits = ["--timeout", "20s", "--memory", "64M", "--fuel", "10000000"];
            let run = sampan(&["run", "--no-cache", "--invoke", function]);
            let run = if function.is_empty() { sampan(&["run", "--no-cache"]) } else { run };
            let ended = limits.iter().fold(run, |run, limit| run.arg(limit)).arg(&file).run();
            // A mutant may end itself, with a code and a panic of its own.
            assert_eq!(ended.signal, None, "{ended:?}");
            let own = |line: &str| !line.contains("panicked at") || line.contains("/hello.rs:");
            assert!(ended.stderr.lines().all(own), "{ended:?}");
            match ended.code {
                Some(0) => ran += 1,
                Some(2) => refused += 1,
                _ => failed += 1,
            }
        }
        println!("{name}: {ran} ran, {refused} were refused, {failed} failed");
        (ran_all, refused_all) = (ran_all + ran, refused_all + refused);
    }
    assert!(
        ran_all > 20 && refused_all > 100,
        "mutants of every kind: {ran_all} ran, {refused_all} were refused"
    );
}
