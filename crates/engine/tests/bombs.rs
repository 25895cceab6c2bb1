//! Programs made to cost much more than their bytes: each is refused with a typed error, or compiled within bounds.

use std::fs;
use std::time::{Duration, Instant};

use engine::{Engine, Error, Profile, Settings};

/// Bytes by which the process may grow while one of these is loaded.
const RSS_MAX: u64 = 1 << 30;

/// Far longer than any of these takes.
const TIME_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, PartialEq)]
enum Fate {
    Loaded,
    Refused,
}
use Fate::{Loaded, Refused};

/// What is to become of a program, what it is, and its bytes.
type Bomb = (Fate, &'static str, Vec<u8>);

#[test]
fn every_bomb_is_refused_or_compiled_within_bounds() {
    let engines =
        [Profile::Dense, Profile::Portable].map(|profile| Engine::new(Settings::new(profile)).unwrap());
    println!("{:9}{:>9}{:>9}{:>10}{:>8}  what", "", "KiB", "ms", "ns/byte", "MiB");
    for (fate, what, bytes) in
        [counts(), functions(), types(), memories(), texts(), components()].into_iter().flatten()
    {
        for engine in &engines {
            let profile = engine.settings().profile.name();
            let before = reset_peak_rss();
            let start = Instant::now();
            let met = match engine.load(&bytes, None) {
                Ok(_) => Loaded,
                Err(Error::Invalid(_) | Error::Text(_)) => Refused,
                Err(error) => panic!("{what} under {profile}: {error:?}"),
            };
            let took = start.elapsed();
            let grown = peak_rss_bytes().saturating_sub(before);
            let (kib, ns) = (bytes.len() >> 10, took.as_nanos() / bytes.len() as u128);
            println!("{profile:9}{kib:9}{:9}{ns:10}{:8}  {what}: {met:?}", took.as_millis(), grown >> 20);
            assert_eq!(met, fate, "{what} under {profile}");
            assert!(took < TIME_MAX, "{what} under {profile} took {took:?}");
            assert!(grown < RSS_MAX, "{what} under {profile} took {grown} bytes");
        }
    }
}

/// Sections whose counts and lengths promise more than there is, or are as large as they may be.
fn counts() -> Vec<Bomb> {
    let declared = |id: u8| module(&[section(id, &leb(0xffff_ffff))]);
    let long_name = [&[1][..], &leb(50_000_004), &[1, 0], &leb(50_000_000), &vec![b'x'; 50_000_000]].concat();
    let many_names =
        [vec![1u8], leb(3_000_000 + 4), leb(500_000), [0, 4, b'n', b'a', b'm', b'e'].repeat(500_000)]
            .concat();
    vec![
        (Refused, "4 billion types declared", declared(1)),
        (Refused, "4 billion functions declared", declared(3)),
        (Refused, "4 billion exports declared", declared(7)),
        (Refused, "4 billion data segments declared", declared(11)),
        (
            Refused,
            "a million functions declared without bodies",
            module(&[no_type(), section(3, &vector(1_000_000, &[0]))]),
        ),
        (
            Refused,
            "a section longer than the file",
            [&module(&[])[..], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        ),
        (
            Loaded,
            "a custom section of 100 MB",
            module(&[section(0, &[&[1, b'c'][..], &vec![0xff; 100_000_000]].concat())]),
        ),
        (
            Loaded,
            "a function name of 50 MB",
            module(&[section(0, &[&name("name"), &long_name[..]].concat())]),
        ),
        (
            Loaded,
            "500,000 names for one function",
            module(&[
                no_type(),
                section(3, &[1, 0]),
                section(10, &[1, 2, 0, 0x0b]),
                section(0, &[name("name"), many_names].concat()),
            ]),
        ),
        (
            Loaded,
            "20,000 empty functions",
            module(&[
                no_type(),
                section(3, &vector(20_000, &[0])),
                section(10, &vector(20_000, &[2, 0, 0x0b])),
            ]),
        ),
        (
            Refused,
            "two million functions",
            module(&[
                no_type(),
                section(3, &vector(2_000_000, &[0])),
                section(10, &vector(2_000_000, &[2, 0, 0x0b])),
            ]),
        ),
        (Loaded, "100,000 globals", module(&[section(6, &vector(100_000, &[0x7f, 1, 0x41, 0, 0x0b]))])),
        (
            Loaded,
            "100,000 imports",
            module(&[no_type(), section(2, &vector(100_000, &[1, b'm', 1, b'f', 0, 0]))]),
        ),
        (Refused, "200,000 element segments", module(&[no_type(), section(9, &vector(200_000, &[1, 0, 0]))])),
    ]
}

/// Single functions that are deep, wide, or long.
fn functions() -> Vec<Bomb> {
    let body = |bytes: &[u8]| function(&[0], bytes);
    let repeat = |bytes: &[u8], count: usize| body(&bytes.repeat(count));
    let nested = |open: &[u8], count: usize| body(&[open.repeat(count), vec![0x0b; count]].concat());
    let table =
        |count: usize| body(&[&[0x41, 0, 0x0e][..], &leb(count as u32), &vec![0; count + 1]].concat());
    vec![
        (Loaded, "blocks 50,000 deep", nested(&[0x02, 0x40], 50_000)),
        (Loaded, "loops 50,000 deep", nested(&[0x03, 0x40], 50_000)),
        (Loaded, "ifs 50,000 deep", nested(&[0x41, 1, 0x04, 0x40], 50_000)),
        (Loaded, "tries 20,000 deep", nested(&[0x1f, 0x40, 0], 20_000)),
        (Loaded, "a table of 10,000 branches", table(10_000)),
        (Refused, "a table of a million branches", table(1_000_000)),
        (Loaded, "100,000 loops in a row", repeat(&[0x03, 0x40, 0x0b], 100_000)),
        (Loaded, "100,000 calls in a row", repeat(&[0x10, 0], 100_000)),
        (Loaded, "50,000 vector locals", function(&[&[1][..], &leb(50_000), &[0x7b]].concat(), &[])),
        (Refused, "4 billion locals", function(&[&[1][..], &leb(0xffff_ffff), &[0x7b]].concat(), &[])),
        (Refused, "a function of 8 MB", repeat(&[0x01], 8_000_000)),
        (Loaded, "7 MB of nothing", repeat(&[0x01], 7_000_000)),
        // Time grows with the square of the values that are alive at once, and of loops times locals.
        (Loaded, "2,000 values alive at once", alive(2_000)),
        (Loaded, "branches with 500 values each", wide_branches(500, 500)),
        (Loaded, "80 loops deep, 80 locals", phis(80, 80)),
    ]
}

/// `count` results of calls on the operand stack, then added up.
fn alive(count: usize) -> Vec<u8> {
    let signature = section(1, &[1, 0x60, 0, 1, 0x7f]);
    let body = [&[0][..], &[0x10, 0].repeat(count), &vec![0x6a; count - 1], &[0x0b]].concat();
    let code = [&[1][..], &leb(body.len() as u32), &body].concat();
    module(&[signature, section(3, &[1, 0]), section(10, &code)])
}

/// A block with `width` results and `count` branches out of it, each of which carries them all.
fn wide_branches(width: usize, count: usize) -> Vec<u8> {
    let signature = [&[2, 0x60, 0, 0, 0x60, 0][..], &leb(width as u32), &vec![0x7f; width]].concat();
    let body = [
        &[0, 0x02, 1][..],
        &[0x41, 1].repeat(width),
        &[0x41, 0, 0x0d, 0].repeat(count),
        &[0x0b],
        &vec![0x1a; width],
        &[0x0b],
    ]
    .concat();
    let code = [&[1][..], &leb(body.len() as u32), &body].concat();
    module(&[section(1, &signature), section(3, &[1, 0]), section(10, &code)])
}

/// Loops within loops; every local changes in the innermost one, so that each loop has to carry all of them.
fn phis(depth: usize, locals: usize) -> Vec<u8> {
    let change: Vec<u8> = (0..locals as u32)
        .flat_map(|local| [&[0x20][..], &leb(local), &[0x41, 1, 0x6a, 0x21], &leb(local)].concat())
        .collect();
    let back: Vec<u8> = [0x41, 0, 0x0d, 0, 0x0b].repeat(depth);
    let body = [[0x03, 0x40].repeat(depth), change, back].concat();
    function(&[&[1][..], &leb(locals as u32), &[0x7f]].concat(), &body)
}

fn types() -> Vec<Bomb> {
    let arrays = |count: u32| {
        section(
            1,
            &[leb(count), (0..count).flat_map(|i| [&[0x5e, 0x63][..], &index(i), &[0]].concat()).collect()]
                .concat(),
        )
    };
    let group = |count: u32| {
        section(1, &[&[1, 0x4e][..], &leb(count), &[0x5e, 0x6b, 0].repeat(count as usize)].concat())
    };
    let chain = |depth: u32| {
        section(
            1,
            &[
                leb(depth),
                vec![0x50, 0, 0x5f, 0],
                (1..depth).flat_map(|i| [&[0x50, 1][..], &leb(i - 1), &[0x5f, 0]].concat()).collect(),
            ]
            .concat(),
        )
    };
    vec![
        (Loaded, "50,000 types, each of the last", module(&[arrays(50_000)])),
        (Loaded, "a group of 100,000 types", module(&[group(100_000)])),
        (Loaded, "a chain of 63 subtypes", module(&[chain(63)])),
        (Refused, "a chain of 1,000 subtypes", module(&[chain(1_000)])),
        (
            Loaded,
            "a struct of 10,000 fields",
            module(&[section(1, &[&[1, 0x5f][..], &vector(10_000, &[0x7f, 1])].concat())]),
        ),
        (
            Refused,
            "a struct of 100,000 fields",
            module(&[section(1, &[&[1, 0x5f][..], &vector(100_000, &[0x7f, 1])].concat())]),
        ),
        (
            Refused,
            "a function of 2,000 parameters",
            module(&[section(1, &[&[1, 0x60][..], &vector(2_000, &[0x7f]), &[0]].concat())]),
        ),
    ]
}

fn memories() -> Vec<Bomb> {
    let text = |text: &str| wat::parse_str(text).unwrap();
    let sparse =
        (0..1_000).map(|i| format!("(data (i32.const {}) \"x\")", i * 4_000_000)).collect::<String>();
    vec![
        (
            Loaded,
            "data at both ends of 4 GiB",
            text("(module (memory 65536) (data (i32.const 0) \"a\") (data (i32.const -1) \"b\"))"),
        ),
        (Loaded, "a byte of data every 4 MB", text(&format!("(module (memory 65536) {sparse})"))),
        (
            Loaded,
            "100,000 data segments",
            module(&[section(5, &[1, 0, 1]), section(11, &vector(100_000, &[0, 0x41, 0, 0x0b, 1, 0]))]),
        ),
        (
            Loaded,
            "100 MB of data",
            module(&[
                section(5, &[&[1, 0][..], &leb(2_000)].concat()),
                section(11, &[&[1, 0, 0x41, 0, 0x0b][..], &leb(100_000_000), &vec![1; 100_000_000]].concat()),
            ]),
        ),
    ]
}

fn texts() -> Vec<Bomb> {
    let nested = |open: &str, count: usize, close: &str| {
        [open.repeat(count), close.repeat(count)].concat().into_bytes()
    };
    vec![
        (Refused, "100,000 parentheses", nested("(", 100_000, ")")),
        (Refused, "100,000 modules in text, one in another", nested("(module ", 100_000, ")")),
        (
            Loaded,
            "100,000 folded instructions",
            format!("(module (func {}))", String::from_utf8(nested("(block ", 100_000, ")")).unwrap())
                .into_bytes(),
        ),
        (Refused, "100,000 components in text", nested("(component ", 100_000, ")")),
        (
            Refused,
            "100,000 list types",
            format!("(component (type {} u8 {}))", "(list ".repeat(100_000), ")".repeat(100_000))
                .into_bytes(),
        ),
        (
            Loaded,
            "a comment 1,000,000 deep",
            format!("(module {})", String::from_utf8(nested("(;", 1_000_000, ";)")).unwrap()).into_bytes(),
        ),
        (
            Refused,
            "a string of 10 MB as a name",
            format!("(module (import \"{}\" \"f\" (func)))", "x".repeat(10_000_000)).into_bytes(),
        ),
        (Loaded, "1 MB of words", format!("(module (func {}))", "nop ".repeat(250_000)).into_bytes()),
    ]
}

fn components() -> Vec<Bomb> {
    let doubling = |times: usize| {
        let types: String = (1..=times).map(|i| format!("(type $t{i} (tuple $t{0} $t{0}))", i - 1)).collect();
        format!("(component (type $t0 (tuple u8 u8)) {types} (export \"t\" (type $t{times})))").into_bytes()
    };
    let adapter = |times: usize| {
        let types: String = (1..=times).map(|i| format!("(type $t{i} (tuple $t{0} $t{0}))", i - 1)).collect();
        let types = format!("(type $t0 (list string)) {types}");
        format!("(component {types}
            (component $callee {types} (core module $m (memory (export \"m\") 1) (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) i32.const 0) (func (export \"f\") (param i32)))
              (core instance $i (instantiate $m)) (func (export \"f\") (param \"x\" $t{times}) (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"realloc\")))))
            (component $caller {types} (import \"f\" (func $f (param \"x\" $t{times})))
              (core module $l (memory (export \"m\") 1)) (core instance $l (instantiate $l))
              (core func $g (canon lower (func $f) (memory (core memory $l \"m\"))))
              (core module $m (import \"\" \"f\" (func (param i32)))) (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $g)))))))
            (instance $a (instantiate $callee)) (instance (instantiate $caller (with \"f\" (func $a \"f\")))))").into_bytes()
    };
    let modules = |count: usize| format!("(component {})", "(core module (func))".repeat(count)).into_bytes();
    vec![
        (Refused, "a type that doubles 40 times", doubling(40)),
        (Loaded, "a type that doubles 15 times", doubling(15)),
        (Loaded, "an adapter for a type that doubles 10 times", adapter(10)),
        (Loaded, "an adapter for a type that doubles 14 times", adapter(14)),
        (Loaded, "1,000 modules in a component", modules(1_000)),
        (Refused, "2,000 modules in a component", modules(2_000)),
        (Loaded, "components 50 deep", nested(50)),
        (Refused, "components 5,000 deep", nested(5_000)),
        (Refused, "components 100,000 deep", nested(100_000)),
    ]
}

/// Components one in another, without a quadratic copy of the inner ones.
fn nested(depth: usize) -> Vec<u8> {
    const HEADER: [u8; 8] = *b"\0asm\x0d\0\x01\0";
    let mut reversed: Vec<u8> = HEADER.iter().rev().copied().collect();
    for _ in 0..depth {
        let length = leb(reversed.len() as u32);
        reversed.extend(length.iter().rev());
        reversed.push(4);
        reversed.extend(HEADER.iter().rev());
    }
    reversed.reverse();
    reversed
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

fn section(id: u8, payload: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(payload.len() as u32), payload].concat()
}

/// A type section with the type of functions that take and return nothing.
fn no_type() -> Vec<u8> {
    section(1, &[1, 0x60, 0, 0])
}

/// A module of one function that takes and returns nothing.
fn function(locals: &[u8], body: &[u8]) -> Vec<u8> {
    let code = [locals, body, &[0x0b]].concat();
    module(&[
        no_type(),
        section(3, &[1, 0]),
        section(10, &[&[1][..], &leb(code.len() as u32), &code].concat()),
    ])
}

fn vector(count: u32, item: &[u8]) -> Vec<u8> {
    [leb(count), item.repeat(count as usize)].concat()
}

fn name(name: &str) -> Vec<u8> {
    [&leb(name.len() as u32), name.as_bytes()].concat()
}

/// An unsigned number in LEB128.
fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A type's index as a heap type: a signed number, here always of five bytes.
fn index(index: u32) -> [u8; 5] {
    [0, 7, 14, 21, 28].map(|shift| (index >> shift) as u8 & 0x7f | if shift < 28 { 0x80 } else { 0 })
}

/// Forgets the peak so far, and returns what the process has now.
fn reset_peak_rss() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_rss_bytes()
}

fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
