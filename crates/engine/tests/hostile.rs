//! Hostile input: whatever the bytes are, loading them gives a program or a typed error, in bounded memory.

mod random;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Engine, Error, Form, Profile, Settings};
use random::Random;

const MUTATIONS: u64 = 20_000;
const THREADS: usize = 2;

/// Bytes by which the process may grow while mutations of small programs are loaded; it grew by a tenth.
const MUTATIONS_RSS_MAX: u64 = 1 << 30;

/// A mutation of a small program that takes longer than this to load has found a way to stop the host.
const MUTATION_TIME_MAX: Duration = Duration::from_secs(60);

/// Small programs that between them have every section and most proposals.
const SMALL: [&str; 8] = [
    r#"(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))"#,
    r#"(module (memory (export "m") 1 4) (data (i32.const 8) "hello") (data "passive")
        (func $fill (param i32) (memory.init 1 (local.get 0) (i32.const 0) (i32.const 7)) data.drop 1)
        (func (export "sum") (result i32) (local i32 i32)
            (loop (local.set 1 (i32.add (local.get 1) (i32.load8_u (local.get 0))))
                (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 64))))
            (call $fill (i32.const 16)) local.get 1))"#,
    r#"(module (type $f (func (param i64) (result i64))) (table $t 4 8 funcref) (elem (i32.const 0) $a $b)
        (func $a (type $f) (i64.mul (local.get 0) (i64.const 3))) (func $b (type $f) (i64.popcnt (local.get 0)))
        (func (export "pick") (param i32 i64) (result i64)
            (block (block (block (br_table 0 1 2 (local.get 0))) (return (i64.const 1)))
                (return (call_indirect $t (type $f) (local.get 1) (local.get 0)))) (i64.const 2)))"#,
    r#"(module (type $p (struct (field (mut i32)) (field (ref null $p)))) (type $a (array (mut i8)))
        (global $g (mut (ref null $p)) (ref.null $p))
        (func (export "gc") (result i32) (local (ref null $a))
            (global.set $g (struct.new $p (i32.const 5) (global.get $g)))
            (local.set 0 (array.new $a (i32.const 1) (i32.const 100)))
            (i32.add (array.get_u $a (local.get 0) (i32.const 3)) (struct.get $p 0 (global.get $g)))))"#,
    r#"(module (tag $e (param i32)) (func $throw (param i32) (throw $e (local.get 0)))
        (func (export "catch") (result i32)
            (block $h (result i32) (try_table (catch $e $h) (call $throw (i32.const 9))) (i32.const 0))))"#,
    r#"(module (memory i64 1) (memory 1)
        (func (export "simd") (param v128) (result v128)
            (v128.store (i64.const 16) (local.get 0))
            (i32x4.add (v128.load (i64.const 16)) (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))
        (func $loop (param i64) (result i64) (return_call $loop (i64.sub (local.get 0) (i64.const 1)))))"#,
    r#"(component (core module $m (memory (export "mem") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
            (func (export "greet") (param i32 i32) (result i32) (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const 2)) i32.const 0))
        (core instance $i (instantiate $m))
        (func (export "greet") (param "name" string) (result string) (canon lift (core func $i "greet")
            (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))"#,
    r#"(component (import "host" (instance $host (export "r" (type $r (sub resource))) (export "[constructor]r" (func (result (own $r))))
            (export "log" (func (param "level" (enum "low" "high")) (param "items" (list (record (field "a" u8) (field "b" (option f64)))))))))
        (alias export $host "log" (func $log))
        (component $c (type (variant (case "x" u32) (case "y" (tuple s8 char)))) (export "t" (type 0)))
        (instance (instantiate $c)) (export "again" (func $log)))"#,
];

#[test]
fn mutated_programs_load_or_are_refused() {
    let mut bases: Vec<Vec<u8>> = SMALL.iter().map(|text| wat::parse_str(text).unwrap()).collect();
    bases.extend(SMALL.iter().map(|text| text.as_bytes().to_vec()));
    let small = bases.len();
    bases.extend(["c/hello.wasm", "p1/hello.wasm", "p2/hello.wasm", "p3/hello.wasm"].map(guest));

    let engines = [Profile::Dense, Profile::Portable].map(|profile| {
        let concurrent = profile == Profile::Dense;
        Engine::new(Settings { concurrent, ..Settings::new(profile) }).unwrap()
    });
    let rss = peak_rss_bytes();
    let (loaded, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let slowest = Mutex::new((Duration::ZERO, 0));
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= MUTATIONS {
                return;
            }
            let mut random = Random::new(seed);
            // One in sixty-four is of a real program, which takes as long to compile as a thousand small ones.
            let base = if seed.is_multiple_of(64) {
                small + random.below(bases.len() - small)
            } else {
                random.below(small)
            };
            let bytes = mutate(&bases, base, &mut random);
            let start = Instant::now();
            let count = match load(&engines[seed as usize % 2], &bytes) {
                Ok(()) => &loaded,
                Err(Refused) => &refused,
            };
            count.fetch_add(1, Ordering::Relaxed);
            let took = start.elapsed();
            assert!(took < MUTATION_TIME_MAX, "mutation {seed} took {took:?}");
            let mut slowest = slowest.lock().unwrap();
            *slowest = (*slowest).max((took, seed));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
    });
    let (loaded, refused) = (loaded.into_inner(), refused.into_inner());
    let grown = peak_rss_bytes().saturating_sub(rss);
    let (time, seed) = slowest.into_inner().unwrap();
    println!(
        "{loaded} loaded, {refused} refused; slowest {time:?} (mutation {seed}); {} MiB grown",
        grown >> 20
    );
    assert!(loaded > MUTATIONS / 100 && refused > MUTATIONS / 3, "{loaded} loaded, {refused} refused");
    assert!(grown < MUTATIONS_RSS_MAX, "the process grew by {grown} bytes");
}

struct Refused;

/// Loads `bytes`. Only errors that speak of the bytes are right.
fn load(engine: &Engine, bytes: &[u8]) -> Result<(), Refused> {
    let form = Form::detect(bytes);
    match (form, engine.load(bytes, None)) {
        (Ok(Form::Module | Form::Component | Form::Text), Ok(_)) => Ok(()),
        (Ok(Form::Module | Form::Component | Form::Text), Err(Error::Invalid(_) | Error::Unfit(_)))
        | (Ok(Form::Component | Form::Text), Err(Error::Concurrent))
        | (Ok(Form::Text), Err(Error::Text(_) | Error::NotWasm(_)))
        | (Ok(Form::Compiled) | Err(_), Err(Error::NotWasm(_))) => Err(Refused),
        (form, Ok(_)) => panic!("{form:?} was loaded"),
        (form, Err(error)) => panic!("{form:?}: {error:?}"),
    }
}

/// One change of one program, or some.
fn mutate(bases: &[Vec<u8>], base: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = bases[base].clone();
    for _ in 0..1 + random.below(4) / 2 {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(12) {
            0 => bytes.truncate(at),
            // The gentlest change leaves most programs valid, and something else.
            1..=4 => {
                bytes[at..(at + 1).min(end)].iter_mut().for_each(|byte| *byte ^= 1 << (random.next() % 8))
            }
            5 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (random.next() % 8)),
            6 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8),
            7 => drop(bytes.drain(at..end)),
            8 => drop(bytes.splice(at..at, random.bytes(end - at))),
            9 => bytes.extend_from_within(at..end),
            // A huge number, where a number is.
            10 => drop(bytes.splice(at..(at + 1).min(end), [0xff, 0xff, 0xff, 0xff, 0x0f])),
            _ => {
                let other = &bases[random.below(bases.len())];
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    bytes
}

fn guest(name: &str) -> Vec<u8> {
    let guests = std::env::var_os("SAMPAN_GUESTS").expect("run `cargo xtask test`: it builds the guests");
    let path = PathBuf::from(guests).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask test`", path.display()))
}

/// The most memory that this process ever had.
fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
