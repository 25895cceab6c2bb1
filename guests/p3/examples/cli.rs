//! What a WASI 0.3 command is told, what it says, and how it ends.
//!
//! source: WASI 0.3 wasi:cli environment, stdin, stdout, stderr, terminal-stdout, exit, run
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
//! case: what comes in goes out before the next comes in
//! args: copy
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
//! source: WASI 0.3 wasi:cli/run: an error is an unsuccessful exit
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
//! case: clocks and random numbers
//! args: clocks
//! exit: 0
//! stdout: true true true true
//! source: WASI 0.3 wasi:clocks, wasi:random: monotonic time never decreases, and no two calls agree
//! case: two waits at once take as long as the longer one
//! args: together
//! exit: 0
//! stdout: ["short", "long"]
//! source: component model, asynchronous functions: a task that waits lets the others go on
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

use wasip3::cli::environment::{get_arguments, get_environment};
use wasip3::cli::terminal_stderr::get_terminal_stderr;
use wasip3::cli::terminal_stdin::get_terminal_stdin;
use wasip3::cli::terminal_stdout::get_terminal_stdout;
use wasip3::cli::{exit, stdin, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};

struct Cli;

wasip3::cli::command::export!(Cli);

impl wasip3::exports::cli::run::Guest for Cli {
    async fn run() -> Result<(), ()> {
        let args = get_arguments();
        match args.get(1).map_or("show", String::as_str) {
            "show" => p3::print(format!("{args:?}\n{:?}\n", get_environment())).await,
            "copy" => {
                let (bytes, ended) = stdin::read_via_stream();
                stdout::write_via_stream(bytes).await.expect("all is written");
                ended.await.expect("all is read");
            }
            "apart" => {
                p3::print_error("for the user\n").await;
                p3::print("for the reader\n").await;
            }
            "terminal" => {
                let (stdin, stdout, stderr) =
                    (get_terminal_stdin(), get_terminal_stdout(), get_terminal_stderr());
                p3::print(format!("{} {} {}\n", stdin.is_some(), stdout.is_some(), stderr.is_some())).await;
            }
            "forever" => loop {
                p3::print("y\n").await;
            },
            "fail" => return Err(()),
            "exit-ok" => exit::exit(Ok(())),
            "exit-error" => exit::exit(Err(())),
            "exit-with-code" => exit::exit_with_code(args[2].parse().expect("a code")),
            "clocks" => {
                p3::print(format!("{} {} {} {}\n", monotonic(), now_is_now(), sleeps().await, random()))
                    .await;
            }
            "together" => together().await,
            "spin" => {
                p3::print("begun\n").await;
                let mut count = 0_u64;
                loop {
                    count = std::hint::black_box(count + 1);
                }
            }
            "wait" => {
                p3::print("begun\n").await;
                let (mut bytes, _ended) = stdin::read_via_stream();
                bytes.next().await;
                exit::exit_with_code(9);
            }
            "memory" => {
                p3::print("begun\n").await;
                let mut blocks = Vec::new();
                loop {
                    blocks.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&blocks);
                }
            }
            other => panic!("no such case: {other}"),
        }
        Ok(())
    }
}

fn monotonic() -> bool {
    let mut last = monotonic_clock::now();
    monotonic_clock::get_resolution() > 0
        && (0..10_000).all(|_| {
            let next = monotonic_clock::now();
            next >= std::mem::replace(&mut last, next)
        })
}

/// Between 2025 and 2100.
fn now_is_now() -> bool {
    let now = system_clock::now();
    (1_735_689_600..4_102_444_800).contains(&now.seconds) && now.nanoseconds < 1_000_000_000
}

async fn sleeps() -> bool {
    let begin = monotonic_clock::now();
    monotonic_clock::wait_for(30_000_000).await;
    monotonic_clock::wait_until(begin + 40_000_000).await;
    monotonic_clock::now() - begin >= 40_000_000
}

fn random() -> bool {
    use wasip3::random::random::{get_random_bytes, get_random_u64};
    // A host may give fewer bytes than asked for, and this one gives all.
    let first = get_random_bytes(100);
    first.len() == 100 && first != get_random_bytes(100) && get_random_u64() != get_random_u64()
}

async fn together() {
    let order = std::cell::RefCell::new(Vec::new());
    let wait = async |name: &'static str, nanoseconds| {
        monotonic_clock::wait_for(nanoseconds).await;
        order.borrow_mut().push(name);
    };
    futures::join!(wait("long", 300_000_000), wait("short", 1_000_000));
    p3::print(format!("{:?}\n", order.borrow())).await;
}
