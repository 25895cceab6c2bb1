//! Memory under attack: whatever a program asks for, its process never holds more than `--memory` and a fixed part for
//! itself. Measured by the kernel, as the most that was resident.
//!
//! These tests have a process of their own that stays small: a child's count begins with what its parent held.

#[allow(dead_code, reason = "the tests of the command line use more of it")]
#[path = "../cli/child.rs"]
mod child;
#[allow(dead_code, reason = "the tests of the command line use more of it")]
#[path = "../cli/place.rs"]
mod place;

use child::{Ended, sampan};
use place::{Place, flood, pyramid};

const LIMIT_BYTES: u64 = 64 << 20;
/// What the process itself takes: its code, the compiler, one program's code.
const OWN_BYTES_MAX: u64 = 32 << 20;

/// Asserts that the process stayed within the limit of 64 MiB.
#[track_caller]
fn is_bounded(ended: &Ended) {
    let (used, may) = (ended.resident_bytes_max, LIMIT_BYTES + OWN_BYTES_MAX);
    assert!(used <= may, "{used} bytes were resident, {may} may be: {ended:?}");
}

/// Runs the text under the limit and both profiles. It must fail with `error`.
#[track_caller]
fn attack(text: &str, error: &str) {
    let place = Place::of(text);
    for profile in ["dense", "portable"] {
        let ended = place.run(&["--memory", "64M", "--profile", profile, "--timeout", "60s"]);
        ended.fails(1, error);
        is_bounded(&ended);
        println!("{profile}: {} KiB resident, {:?}", ended.resident_bytes_max >> 10, ended.time);
    }
}

/// A function that grows a memory by `pages` and writes to each page, until it cannot.
fn grow_and_write(pages: u32) -> String {
    format!(
        "(func (export \"_start\") (local $at i32)
           (loop $grow
             (local.set $at (i32.mul (memory.grow (i32.const {pages})) (i32.const 65536)))
             (loop $write
               (i32.store (local.get $at) (i32.const 1))
               (local.set $at (i32.add (local.get $at) (i32.const 4096)))
               (br_if $write (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
             (br $grow)))"
    )
}

#[test]
fn a_memory_that_grows_ends_at_the_limit() {
    for pages in [1, 100, 1_000] {
        attack(
            &format!("(module (memory 1) {})", grow_and_write(pages)),
            "reached its memory limit of 64 MiB",
        );
    }
}

#[test]
fn the_measure_sees_what_is_used() {
    let place = Place::of(&format!("(module (memory 1) {})", grow_and_write(1)));
    let small = place.run(&["--memory", "1M"]).resident_bytes_max;
    let large = place.run(&["--memory", "64M"]).resident_bytes_max;
    assert!(large - small > 60 << 20, "{small} and {large} bytes");
}

#[test]
fn memories_together_end_at_the_limit() {
    let memories = "(memory 200)".repeat(10);
    attack(&format!("(module {memories} (func (export \"_start\")))"), "reached its memory limit of 64 MiB");
}

#[test]
fn instances_together_end_at_the_limit() {
    let fill = "(func $fill (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))) (start $fill)";
    let instances = "(core instance (instantiate $m))".repeat(100);
    let text = format!(
        "(component (core module $m (memory 16) {fill}) {instances}
           (core module $n (func (export \"f\"))) (core instance $n (instantiate $n))
           (func (export \"f\") (canon lift (core func $n \"f\"))))"
    );
    let place = Place::of(&text);
    for profile in ["dense", "portable"] {
        let ended = place.run(&["--memory", "64M", "--profile", profile, "--invoke", "f"]);
        ended.fails(1, "reached its memory limit of 64 MiB");
        is_bounded(&ended);
    }
}

#[test]
fn what_is_declared_counts_before_it_is_there() {
    for memory in ["1025", "65536", "i64 1025", "i64 0x1000000", "i64 0xffffffffffff"] {
        attack(
            &format!("(module (memory {memory}) (func (export \"_start\")))"),
            "reached its memory limit of 64 MiB",
        );
    }
    for table in ["9000000 funcref", "0xffffffff funcref", "i64 0xffffffffffff externref"] {
        attack(
            &format!("(module (table {table}) (func (export \"_start\")))"),
            "reached its memory limit of 64 MiB",
        );
    }
}

#[test]
fn a_table_that_grows_ends_at_the_limit() {
    let grow =
        "(func (export \"_start\") (loop (drop (table.grow (ref.null func) (i32.const 10000))) (br 0)))";
    attack(&format!("(module (table 1 funcref) {grow})"), "reached its memory limit of 64 MiB");
}

#[test]
fn objects_that_are_kept_end_at_the_limit() {
    let list = "(module (type $node (struct (field (ref null $node)) (field i64 i64 i64)))
        (global $all (mut (ref null $node)) (ref.null $node))
        (func (export \"_start\")
          (loop (global.set $all (struct.new $node (global.get $all) (i64.const 1) (i64.const 2) (i64.const 3)))
            (br 0))))";
    attack(list, "memory");
    let array = "(module (type $bytes (array (mut i8)))
        (func (export \"_start\") (drop (array.new $bytes (i32.const 1) (i32.const 0x40000000)))))";
    attack(array, "memory");
}

#[test]
fn objects_that_are_dropped_are_collected() {
    let garbage = "(module (type $bytes (array (mut i8)))
        (func (export \"_start\") (local $left i32) (local.set $left (i32.const 20000))
          (loop (drop (array.new $bytes (i32.const 1) (i32.const 65536)))
            (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))";
    let place = Place::of(garbage);
    for profile in ["dense", "portable"] {
        let ended = place.run(&["--memory", "64M", "--profile", profile]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        is_bounded(&ended);
    }
}

#[test]
fn a_pyramid_of_components_is_not_compiled() {
    // A hundred million instances, in a few kilobytes.
    let place = Place::of(&pyramid(8, 10));
    for command in ["run", "inspect"] {
        let ended = sampan(&[command]).arg(place.program()).run();
        ended.is_calm();
        is_bounded(&ended);
    }
}

#[test]
fn output_that_nobody_reads_takes_no_memory() {
    let place = Place::of(&flood(1));
    for program in [place.program(), child::guest("p2/flood.wasm"), child::guest("p3/flood.wasm")] {
        let run = sampan(&["run", "--memory", "64M", "--timeout", "2s"]).arg(&program);
        let ended = run.run_reading(|stdout| stdout);
        ended.fails(1, "reached its time limit of 2s");
        is_bounded(&ended);
    }
}
