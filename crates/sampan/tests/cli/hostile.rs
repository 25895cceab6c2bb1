//! Programs that will not end, will not stop asking, or attack before they even start: each is ended by its limit,
//! with one message, and takes nothing down with it. Those that need no more than a file are in `guests/hostile`.

use std::io::Read;
use std::time::Duration;

use crate::child::{Ended, sampan, shell};
use crate::place::{Place, flood, pyramid, wasi};

/// Far more than a run with a limit of `LIMIT` takes on the busiest machine.
const SAFE: Duration = Duration::from_secs(60);
const LIMIT: &str = "300ms";
const SIGPIPE: i32 = 13;

const LOOP: &str = "(module (func $spin (loop (br 0))) (func (export \"_start\") (call $spin)))";

#[track_caller]
fn ends_in_time(ended: &Ended) {
    ended.fails(1, &format!("reached its time limit of {LIMIT}"));
    assert!(ended.time < SAFE, "{ended:?}");
}

#[test]
fn a_loop_ends_at_its_time_limit() {
    let place = Place::of(LOOP);
    ends_in_time(&place.run(&["--timeout", LIMIT, "--profile", "portable"]));
    ends_in_time(&place.run(&["--timeout", LIMIT, "-O", "interrupt=none"]));
    ends_in_time(&place.run(&["--timeout", LIMIT, "-O", "interrupt=fuel"]));
    for flags in [&["--timeout", LIMIT][..], &["--timeout", LIMIT, "-O", "interrupt=epoch"]] {
        let ended = place.run(flags);
        ends_in_time(&ended);
        assert!(ended.stderr.contains("limit of 300ms\n  at spin\n"), "{ended:?}");
    }
}

/// Tail calls, objects of the garbage collector, and exceptions: no signal may come among these.
const UNSTOPPABLE: [&str; 3] = [
    "(module (func $spin (export \"_start\") (return_call $spin)))",
    "(module (type $s (struct (field i32)))
        (func (export \"_start\") (loop (drop (struct.new $s (i32.const 1))) (br 0))))",
    "(module (tag $t) (func (export \"_start\")
        (loop $l (block $caught (try_table (catch $t $caught) (throw $t))) (br $l))))",
];

#[test]
fn a_program_that_no_signal_may_interrupt_ends_as_well() {
    for text in UNSTOPPABLE {
        let place = Place::of(text);
        // The second time the cache knows which engine it needs.
        for _ in 0..2 {
            ends_in_time(&place.run(&["--timeout", LIMIT]));
        }
        ends_in_time(&place.run(&["--timeout", LIMIT, "-O", "interrupt=epoch"]));
    }
    let place = Place::of("(module (func $end) (func (export \"_start\") (return_call $end)))");
    assert_eq!(place.run(&[]).code, Some(0));
}

#[test]
fn a_loop_ends_at_its_fuel_limit() {
    let place = Place::of(LOOP);
    for profile in ["dense", "portable"] {
        place
            .run(&["--fuel", "1000000", "--profile", profile])
            .fails(1, "reached its fuel limit of 1000000\n");
    }
}

#[test]
fn a_loop_in_the_start_section_ends_at_its_time_limit() {
    let place = Place::of("(module (func $spin (loop (br 0))) (start $spin) (func (export \"_start\")))");
    ends_in_time(&place.run(&["--timeout", LIMIT]));
    ends_in_time(&place.run(&["--timeout", LIMIT, "--invoke", "_start"]));
}

#[test]
fn recursion_ends_at_its_stack_limit() {
    let place = Place::of("(module (func $down (export \"_start\") (call $down)))");
    let in_start = Place::of("(module (func $down (call $down)) (start $down) (func (export \"_start\")))");
    for profile in ["dense", "portable"] {
        for place in [&place, &in_start] {
            let ended = place.run(&["--profile", profile]);
            ended.fails(1, "reached its stack limit of 1 MiB\n");
            assert!(ended.stderr.lines().count() < 10, "a frame is shown once: {ended:?}");
        }
        place.run(&["--profile", profile, "-O", "stack=64K"]).fails(1, "reached its stack limit of 64 KiB\n");
        place.run(&["--profile", profile, "-O", "stack=64M"]).fails(1, "reached its stack limit of 64 MiB\n");
    }
}

#[test]
fn a_trap_in_the_start_section_is_a_trap() {
    let place = Place::of("(module (func $start unreachable) (start $start) (func (export \"_start\")))");
    place.run(&[]).fails(1, "trapped\n  cause: `unreachable` instruction executed\n  at start\n");
    let place = Place::of("(module (memory 1) (data (i32.const 65536) \"a\") (func (export \"_start\")))");
    place.run(&[]).fails(1, "trapped\n  cause: out of bounds memory access\n");
}

#[test]
fn a_program_that_waits_ends_at_its_time_limit() {
    let reading = Place::of(&wasi(
        "\"fd_read\" (func $read (param i32 i32 i32 i32) (result i32))",
        "(data (i32.const 0) \"\\00\\80\\00\\00\\00\\10\\00\\00\")",
        "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))",
    ));
    let run = sampan(&["run", "--timeout", LIMIT]).arg(reading.program());
    ends_in_time(&run.run_waiting());
}

#[test]
fn a_program_that_is_slow_to_compile_ends_at_its_time_limit() {
    // One function of a million additions, each of which the optimiser looks at.
    let mut body = "(local.get 0) (local.get 1) i32.add (local.set 0)\n".repeat(1_000_000);
    body.insert_str(0, "(module (func (export \"f\") (param i32 i32)\n");
    let place = Place::of(&(body + "))"));
    ends_in_time(&place.run(&["--timeout", LIMIT, "--no-cache", "--invoke", "f(1, 2)"]));
}

#[test]
fn output_without_end_ends_with_its_reader() {
    let place = Place::of(&flood(1));
    let ended = sampan(&["run"]).arg(place.program()).run_reading(|mut stdout| {
        stdout.read_exact(&mut vec![0; 1 << 20]).expect("a mebibyte is there");
    });
    // As a native program does: `yes | head -1`.
    assert_eq!((ended.signal, ended.stderr.as_str()), (Some(SIGPIPE), ""), "{ended:?}");
}

#[test]
fn talk_without_end_ends_at_its_time_limit() {
    let place = Place::of(&flood(2));
    let ended = place.run(&["--timeout", LIMIT]);
    assert_eq!(ended.code, Some(1));
    let (flood, message) = ended.stderr.split_at(ended.stderr.find("error: ").expect("a message"));
    assert!(flood.len() >= 32768 && flood.bytes().all(|byte| byte == b'a'), "{} bytes", flood.len());
    assert!(message.contains(&format!("reached its time limit of {LIMIT}")), "{message}");
}

#[test]
fn instances_end_at_their_limit() {
    for profile in ["dense", "portable"] {
        let run =
            |levels, width| Place::of(&pyramid(levels, width)).run(&["--profile", profile, "--invoke", "f"]);
        // More than the pool of one program has slots for, and no less a program for it.
        assert_eq!(run(1, 500).code, Some(0));
        run(1, 2_000).fails(2, "instances count exceeds limit of 1000\n");
        run(3, 11).fails(1, "reached its limit of instances, memories or tables\n");
        // A hundred million, in a few kilobytes.
        run(8, 10).fails(2, "unfold to more than 10000 instances\n");
    }
}

#[test]
fn an_argument_of_any_length_arrives() {
    let place = Place::of(&wasi(
        "\"args_sizes_get\" (func $sizes (param i32 i32) (result i32))",
        "",
        "(drop (call $sizes (i32.const 0) (i32.const 4)))
         (if (i32.lt_u (i32.load (i32.const 4)) (i32.const 1000000)) (then unreachable))",
    ));
    let long = "x".repeat(100_000);
    let run = (0..10).fold(sampan(&["run"]).arg(place.program()), |run, _| run.arg(&long));
    assert_eq!(run.run().well(), "");
}

#[test]
fn nesting_does_not_overflow_the_stack() {
    let nested = |open: &str| format!("{}{}", open.repeat(100_000), ")".repeat(100_000));
    let blocks = Place::of(&format!("(module (func {}))", nested("(block ")));
    let components = Place::of(&nested("(component "));
    for command in ["run", "inspect"] {
        assert_eq!(sampan(&[command]).arg(blocks.program()).run().code, Some(0));
        sampan(&[command]).arg(components.program()).run().fails(2, "nesting too deep");
    }
}

#[test]
#[should_panic(expected = "panicked")]
fn a_panic_would_be_noticed() {
    shell("echo \"thread 'main' panicked at crates/x.rs\" >&2; exit 1").run().is_calm();
}

#[test]
#[should_panic(expected = "signal: Some(11)")]
fn death_by_a_signal_would_be_noticed() {
    shell("kill -SEGV $$").run().is_calm();
}

#[test]
#[should_panic(expected = "signal: Some(9)")]
fn a_hang_would_be_noticed() {
    let place = Place::of(LOOP);
    sampan(&["run"]).arg(place.program()).deadline(Duration::from_millis(500)).run().is_calm();
}
