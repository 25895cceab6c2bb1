//! What a WASI 0.2 command is told, what it says, and how it ends.
//!
//! source: WASI 0.2 wasi:cli environment, stdin, stdout, stderr, terminal-stdout, exit, run
//! case: arguments and environment
//! sampan: --env A=1 --env "B=two = 2"
//! args: show one "two three" ""
//! exit: 0
//! stdout: ["cli.wasm", "show", "one", "two three", ""]
//! stdout: [("A", "1"), ("B", "two = 2")]
//! case: no arguments, no environment
//! exit: 0
//! stdout: ["cli.wasm"]
//! stdout: []
//! case: a line comes back before the next is sent
//! args: lines
//! host: line-by-line
//! stdin: first
//! stdin: second
//! exit: 0
//! stdout: first
//! stdout: second
//! case: one mebibyte of any bytes passes through
//! args: copy
//! stdin-bytes: 1048576
//! exit: 0
//! stdout-is-stdin:
//! case: stderr is apart from stdout
//! args: apart
//! exit: 0
//! stdout: for the reader
//! stderr~: for the user
//! case: a pipe is no terminal
//! args: terminal
//! exit: 0
//! stdout: false false false
//! case: a closed stdout ends the program as it ends a native one
//! args: forever
//! host: close-stdout
//! signal: PIPE
//! stdout: y
//! case: run returns an error
//! args: fail
//! exit: 1
//! source: WASI 0.2 wasi:cli/run: an error is an unsuccessful exit
//! case: exit with a result: success
//! args: exit-ok
//! exit: 0
//! case: exit with a result: failure
//! args: exit-error
//! exit: 1
//! case: exit-with-code 7
//! args: exit-with-code 7
//! exit: 7
//! case: exit-with-code 255
//! args: exit-with-code 255
//! exit: 255
//! case: a panic
//! args: panic
//! exit: 1
//! stderr~: panicked at src/bin/cli.rs
//! stderr~: it went wrong
//! stderr~: cli.wasm` trapped
//! stderr~: cause: `unreachable` instruction executed
//! case: clocks and random numbers
//! args: clocks
//! exit: 0
//! stdout: true true true true
//! source: WASI 0.2 wasi:clocks, wasi:random: monotonic time never decreases, and no two calls agree
//! case: interrupted while it computes
//! args: spin
//! host: interrupt
//! signal: INT
//! stdout: begun
//! case: terminated while it waits for input
//! args: wait
//! host: terminate
//! signal: TERM
//! stdout: begun
//! case: time
//! sampan: --timeout 1s
//! args: spin
//! exit: 1
//! stdout~:
//! stderr~: cli.wasm` reached its time limit of 1s
//! stderr~: hint: `--timeout` sets the limit
//! case: memory
//! sampan: --memory 16M
//! args: memory
//! exit: 1
//! stdout: begun
//! stderr~: cli.wasm` reached its memory limit of 16 MiB
//! stderr~: hint: `--memory` sets the limit
//! case: fuel
//! profile: dense portable sealed
//! sampan: --fuel 3000000
//! args: spin
//! exit: 1
//! stdout: begun
//! stderr~: cli.wasm` reached its fuel limit of 3000000
//! stderr~: hint: `--fuel` sets the limit
//! case: open files
//! sampan: --dir $DIR:/data -O handles=64
//! file in.txt: content
//! args: files
//! exit: 1
//! stdout: begun
//! stderr~: cli.wasm` reached its limit of 64 open files and other host resources
//! stderr~: hint: `-O handles=COUNT` sets the limit

use std::io::{BufRead, IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map_or("show", String::as_str) {
        "show" => println!("{args:?}\n{:?}", std::env::vars().collect::<Vec<_>>()),
        "lines" => {
            for line in stdin().lock().lines() {
                println!("{}", line.expect("a line"));
            }
        }
        "copy" => {
            std::io::copy(&mut stdin(), &mut stdout()).expect("copied");
        }
        "apart" => {
            eprintln!("for the user");
            println!("for the reader");
        }
        "terminal" => {
            println!("{} {} {}", stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal())
        }
        "forever" => loop {
            if writeln!(stdout(), "y").is_err() {
                return ExitCode::from(9);
            }
        },
        "fail" => return ExitCode::FAILURE,
        "exit-ok" => wasip2::cli::exit::exit(Ok(())),
        "exit-error" => wasip2::cli::exit::exit(Err(())),
        "exit-with-code" => wasip2::cli::exit::exit_with_code(args[2].parse().expect("a code")),
        "panic" => panic!("it went wrong"),
        "clocks" => println!("{} {} {} {}", monotonic(), now_is_now(), sleeps(), random()),
        "spin" => {
            println!("begun");
            let mut count = 0_u64;
            loop {
                count = std::hint::black_box(count + 1);
            }
        }
        "wait" => {
            println!("begun");
            stdin().lines().next();
            return ExitCode::from(9);
        }
        "memory" => {
            println!("begun");
            let mut blocks = Vec::new();
            loop {
                blocks.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&blocks);
            }
        }
        "files" => {
            println!("begun");
            let mut files = Vec::new();
            while let Ok(file) = std::fs::File::open("/data/in.txt") {
                files.push(file);
            }
            return ExitCode::from(9);
        }
        other => panic!("no such case: {other}"),
    }
    ExitCode::SUCCESS
}

fn monotonic() -> bool {
    let mut last = Instant::now();
    wasip2::clocks::monotonic_clock::resolution() > 0
        && (0..10_000).all(|_| {
            let next = Instant::now();
            next >= std::mem::replace(&mut last, next)
        })
}

/// Between 2025 and 2100.
fn now_is_now() -> bool {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    (1_735_689_600..4_102_444_800).contains(&since)
}

fn sleeps() -> bool {
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(30));
    begin.elapsed() >= Duration::from_millis(30)
}

fn random() -> bool {
    use wasip2::random::random::{get_random_bytes, get_random_u64};
    let first = get_random_bytes(100);
    first.len() == 100
        && first != get_random_bytes(100)
        && get_random_u64() != get_random_u64()
        && get_random_bytes(0).is_empty()
}
