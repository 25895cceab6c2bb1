//! Programs that nobody here wrote do real work on real input, and what they make is compared with what it must be.
//! `xtask/programs.toml` says where each comes from. Whether a file was compiled already is the cache's affair: the
//! tests keep theirs from one run to the next.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::child::{Ended, program, sampan, way};

const PROFILES: [&str; 2] = ["dense", "portable"];

/// For a program of tens of megabytes that is compiled for the first time, on a busy machine.
const COMPILING: Duration = Duration::from_secs(1_800);

/// Lines of text that are the same everywhere: `N: ` and a number that looks random.
pub(crate) fn numbers(lines: u32) -> String {
    let mut text = String::new();
    let mut number = 1_u32;
    for line in 0..lines {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writeln!(text, "{line}: {}", number >> 8).expect("a string grows");
    }
    text
}

/// A directory that programs are granted.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory is made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the file is written");
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
    }

    /// Runs a program with this directory as its own.
    fn run(&self, profile: &str, name: &str, args: &[&str]) -> Ended {
        let run = sampan(&["run", "--dir", ".", "--profile", profile]);
        let run = way(profile).iter().fold(run, |run, option| run.arg("-O").arg(option)).arg(program(name));
        args.iter().fold(run, |run, arg| run.arg(arg)).dir(self.0.path()).deadline(COMPILING).run()
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[test]
fn cpython_reads_searches_and_digests_a_file() {
    let desk = Desk::new();
    let text = numbers(5_000);
    desk.put("in.txt", &text);
    desk.put(
        "work.py",
        "import hashlib, json, re
from collections import Counter
text = open('in.txt').read()
pairs = [tuple(map(int, found)) for found in re.findall(r'^(\\d+): (\\d+)$', text, re.M)]
print(json.dumps({
    'sha256': hashlib.sha256(text.encode()).hexdigest(), 'pairs': len(pairs),
    'sum': sum(number for _, number in pairs), 'largest': max(pairs, key=lambda pair: pair[1]),
    'lasts': sorted(Counter(number % 10 for _, number in pairs).items()),
}))",
    );
    let values: Vec<u64> = text
        .lines()
        .map(|line| line.split(": ").nth(1).expect("a pair").parse().expect("a number"))
        .collect();
    let (at, largest) = values.iter().enumerate().max_by_key(|(_, value)| **value).expect("there are some");
    let lasts = (0..10)
        .map(|last| serde_json::json!([last, values.iter().filter(|value| *value % 10 == last).count()]));
    let expected = serde_json::json!({
        "sha256": sha256(&text), "pairs": values.len(), "sum": values.iter().sum::<u64>(),
        "largest": [at, largest], "lasts": lasts.collect::<Vec<_>>(),
    });
    for profile in PROFILES {
        let ended = desk.run(profile, "python.wasm", &["work.py"]);
        println!("{profile}: {:?}", ended.time);
        let found: serde_json::Value = serde_json::from_str(&ended.well()).expect("it prints JSON");
        assert_eq!(found, expected, "{profile}");
    }
}

#[test]
fn cpython_sees_its_arguments_its_input_and_no_more() {
    let python = |args: &[&str]| {
        let run = sampan(&["run", "--env", "BOAT=sampan"]).arg(program("python.wasm"));
        args.iter().fold(run, |run, arg| run.arg(arg)).deadline(COMPILING)
    };
    let script =
        "import os, sys; print(sys.argv[1:], sorted(os.environ), sys.stdin.read().upper()); sys.exit(7)";
    let ended = python(&["-c", script, "--dir", "a b"]).run_with(b"ahoy");
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "['--dir', 'a b'] ['BOAT'] AHOY\n");

    let ended = python(&["-c", "open('/etc/passwd')"]).run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("FileNotFoundError") || ended.stderr.contains("PermissionError"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("\nhint: it was granted no directory for its files; `--dir"), "{ended:?}");
}

#[test]
fn sqlite_keeps_a_database_in_a_granted_directory() {
    let desk = Desk::new();
    desk.put(
        "fill.py",
        "import sqlite3
with sqlite3.connect('boats.db') as db:
    db.execute('create table catch (boat integer, day integer, fish integer, unique (boat, day))')
    rows = ((boat, day, boat * 31 * day % 17) for boat in range(50) for day in range(100))
    db.executemany('insert into catch values (?, ?, ?)', rows)",
    );
    desk.put(
        "ask.py",
        "import sqlite3
db = sqlite3.connect('boats.db')
print(db.execute('pragma integrity_check').fetchone()[0])
print(db.execute('select count(*), sum(fish) from catch').fetchone())
print(db.execute('''with best as (select boat, sum(fish) as fish, rank() over (order by sum(fish) desc, boat) as place
    from catch group by boat) select boat, fish from best where place <= 3''').fetchall())",
    );
    assert_eq!(desk.run("dense", "python.wasm", &["fill.py"]).well(), "");
    assert!(desk.get("boats.db").starts_with(b"SQLite format 3\0"));

    let fish = |boat: u32, day: u32| boat * 31 * day % 17;
    let mut boats: Vec<(u32, u32)> =
        (0..50).map(|boat| (boat, (0..100).map(|day| fish(boat, day)).sum())).collect();
    let sum: u32 = boats.iter().map(|(_, fish)| fish).sum();
    boats.sort_by_key(|(boat, fish)| (std::cmp::Reverse(*fish), *boat));
    let expected = format!("ok\n(5000, {sum})\n{:?}\n", &boats[..3]);
    // A second process finds what the first one left.
    assert_eq!(desk.run("dense", "python.wasm", &["ask.py"]).well(), expected);
}

/// Left half red, right half blue, a white disc in the middle.
const PICTURE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48">
  <rect width="32" height="48" fill="#f00"/><rect x="32" width="32" height="48" fill="#00f"/>
  <circle cx="32" cy="24" r="10" fill="#fff"/>
</svg>"##;

/// Prints the size of a PNG of 8-bit RGBA, and some of its pixels: PNG (W3C, 2003), sections 7.3 and 9.
const PIXELS: &str = "import struct, zlib
data, at, packed = open('out.png', 'rb').read(), 8, b''
while at < len(data):
    length, kind = struct.unpack_from('>I4s', data, at)
    body = data[at + 8:at + 8 + length]
    assert struct.unpack_from('>I', data, at + 8 + length)[0] == zlib.crc32(kind + body)
    if kind == b'IHDR': width, height, depth, colour = struct.unpack_from('>IIBB', body)
    if kind == b'IDAT': packed += body
    at += length + 12
assert (depth, colour) == (8, 6)
raw, above, rows = zlib.decompress(packed), bytearray(width * 4), []
for y in range(height):
    kind, line = raw[y * (width * 4 + 1)], bytearray(raw[y * (width * 4 + 1) + 1:(y + 1) * (width * 4 + 1)])
    for i in range(len(line)):
        a, b, c = (line[i - 4] if i > 3 else 0), above[i], (above[i - 4] if i > 3 else 0)
        p = a + b - c
        paeth = min((a, b, c), key=lambda x: abs(p - x))
        line[i] = (line[i] + [0, a, b, (a + b) // 2, paeth][kind]) % 256
    rows.append(line)
    above = line
print(width, height, *(rows[y][x * 4:x * 4 + 4].hex() for x, y in [(8, 24), (32, 24), (56, 24), (31, 2), (33, 46)]))
";

#[test]
fn resvg_draws_a_picture() {
    let desk = Desk::new();
    desk.put("in.svg", PICTURE);
    desk.put("pixels.py", PIXELS);
    let drawn = PROFILES.map(|profile| {
        let ended = desk.run(profile, "resvg.wasm", &["in.svg", "out.png"]);
        println!("{profile}: {:?}", ended.time);
        ended.well();
        desk.get("out.png")
    });
    assert!(drawn[0].starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_eq!(sha256(&drawn[0]), sha256(&drawn[1]), "both profiles draw the same");
    let seen = desk.run("dense", "python.wasm", &["pixels.py"]).well();
    assert_eq!(seen, "64 48 ff0000ff ffffffff 0000ffff ff0000ff 0000ffff\n");
}

#[test]
fn gcc_compiles_assembles_and_links_for_a_microcontroller() {
    let desk = Desk::new();
    // The compiler multiplies and compares; what is left is to load 42 and return.
    desk.put(
        "blink.c",
        "const unsigned long answer = 1234567UL * 89UL;
         int main(void) { return answer == 109876463UL ? 42 : 1; }\n",
    );
    desk.put("link.ld", "SECTIONS { .text 0 : { *(.text*) } .data : { *(.rodata*) *(.data*) } }\n");
    let compile = ["-quiet", "-O2", "-mmcu=avr5", "blink.c", "-o", "blink.s"];
    desk.run("dense", "cc1.wasm", &compile).well();
    assert!(String::from_utf8_lossy(&desk.get("blink.s")).contains("ldi r24,lo8(42)"));
    for profile in PROFILES {
        desk.run(profile, "avr-as.wasm", &["-mmcu=avr5", "blink.s", "-o", "blink.o"]).well();
        let link = [
            "-m",
            "avr5",
            "-T",
            "link.ld",
            "-e",
            "main",
            "--no-warn-rwx-segments",
            "blink.o",
            "-o",
            "blink.elf",
        ];
        desk.run(profile, "avr-ld.wasm", &link).well();
        desk.run(profile, "avr-objcopy.wasm", &["-O", "ihex", "blink.elf", "blink.hex"]).well();
        // By the AVR instruction set: LDI R24,42; LDI R25,0; RET. Then the answer, least byte first.
        let expected = ":060000008AE290E0089581\n:04000600EF948C06E1\n:00000001FF\n";
        assert_eq!(String::from_utf8_lossy(&desk.get("blink.hex")).replace('\r', ""), expected, "{profile}");
        fs::remove_file(desk.path("blink.hex")).expect("it was there");
    }
}

/// 75 MB and 133,398 functions: the largest program here, and one that makes programs.
#[test]
fn clang_makes_a_program_that_runs() {
    let desk = Desk::new();
    let first = desk.run("dense", "llvm.wasm", &["clang", "--version"]);
    let second = desk.run("dense", "llvm.wasm", &["clang", "--version"]);
    let (first_time, second_time) = (first.time, second.time);
    assert!(first.well().contains("clang version 22"));
    second.well();
    println!("clang: first start {first_time:?} (compiled, or not), second {second_time:?}");

    desk.put("gcd.c", "unsigned gcd(unsigned a, unsigned b) { return b ? gcd(b, a % b) : a; }\n");
    let compile = ["clang", "--target=wasm32", "-O2", "-nostdlib", "-c", "gcd.c", "-o", "gcd.o"];
    desk.run("dense", "llvm.wasm", &compile).well();
    let link = ["wasm-ld", "--no-entry", "--export=gcd", "gcd.o", "-o", "gcd.wasm"];
    desk.run("dense", "llvm.wasm", &link).well();
    for profile in PROFILES {
        let gcd =
            sampan(&["run", "--profile", profile, "--invoke", "gcd(3528, 3780)"]).arg(desk.path("gcd.wasm"));
        assert_eq!(gcd.run().well(), "252\n", "{profile}");
    }
}

#[test]
fn a_large_program_starts_at_once_the_second_time() {
    let desk = Desk::new();
    for (profile, name, args) in
        [("dense", "python.wasm", ["--version"]), ("dense", "cc1.wasm", ["--version"])]
    {
        desk.run(profile, name, &args).well();
        let mut times: Vec<Duration> = (0..9).map(|_| desk.run(profile, name, &args).time).collect();
        times.sort();
        println!("{name}, {profile}: {:?} cached, median of {}", times[4], times.len());
        // What it takes is a benchmark's affair; that it compiles nothing is this test's.
        assert!(times[0] < Duration::from_secs(5), "{times:?}");
    }
}
