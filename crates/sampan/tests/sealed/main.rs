//! Profile `sealed` as its users meet it: a process of its own that is as easy to run, stop and look at as any.
//!
//! What the process cannot do is tested in `crates/engine/tests/sealed`; that programs do in it what they do elsewhere, in
//! `tests/wasi`. These tests need what a sealed process needs: namespaces, seccomp, and control groups of either version.

#[allow(dead_code, reason = "the tests of the command line use more of it")]
#[path = "../cli/child.rs"]
mod child;
#[allow(dead_code, reason = "the tests of the command line use more of it")]
#[path = "../cli/place.rs"]
mod place;

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use child::{Ended, guest, sampan, shell};
use place::{Place, flood, wasi};

const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;

/// Longer than any process here takes to end.
const SOON: Duration = Duration::from_secs(60);

/// Ends only when it is ended.
const LOOP: &str = "(module (func $spin (loop (br 0))) (func (export \"_start\") (call $spin)))";

/// The layers that are told, each held.
const LAYERS: [&str; 15] = [
    "descriptors",
    "environment",
    "pid namespace",
    "mount namespace",
    "ipc namespace",
    "uts namespace",
    "cgroup namespace",
    "network namespace",
    "root",
    "capabilities",
    "no_new_privs",
    "limits",
    "Landlock",
    "no dumps",
    "seccomp",
];

fn sealed(place: &Place, flags: &[&str]) -> Ended {
    place.run(&[&["--profile", "sealed"], flags].concat())
}

#[test]
fn every_layer_is_told() {
    let ended = sealed(&Place::of("(module (func (export \"_start\")))"), &["--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for layer in LAYERS {
        assert!(ended.stderr.contains(&format!("sampan: {layer}: held")), "{layer}: {ended:?}");
    }
    for controller in ["memory", "pids"] {
        assert!(ended.stderr.contains(&format!("sampan: {controller} cgroup: ")), "{ended:?}");
    }
}

#[test]
fn with_a_grant_of_the_network_its_supervisor_stands_before_it() {
    let ended =
        sealed(&Place::of("(module (func (export \"_start\")))"), &["--verbose", "--net", "127.0.0.1:9"]);
    for layer in LAYERS.into_iter().chain(["egress"]) {
        assert!(ended.stderr.contains(&format!("sampan: {layer}: held")), "{layer}: {ended:?}");
    }
}

#[test]
fn traps_and_exit_codes_are_those_of_the_program() {
    let ended = sealed(
        &Place::of("(module (func $inner unreachable) (func (export \"_start\") (call $inner)))"),
        &[],
    );
    ended.fails(1, "trapped");
    assert!(ended.stderr.contains("  at inner\n"), "{ended:?}");
    assert!(ended.stderr.contains("profile: sealed\n"), "{ended:?}");
    let exits = wasi("\"proc_exit\" (func $exit (param i32))", "", "(call $exit (i32.const 141))");
    let place = Place::of(&exits);
    assert_eq!(sealed(&place, &[]).code, Some(141));
    sealed(&Place::of("(module (func (export \"_start\") (call 7)))"), &[])
        .fails(2, "not a valid WebAssembly");
    sampan(&["run", "--profile", "sealed", "nothing.wasm"]).run().fails(2, "cannot read `nothing.wasm`");
    sampan(&["run", "--profile", "sealed", "--dir", "/nothing", "-"])
        .run_with(b"(module (func (export \"_start\")))")
        .fails(2, "cannot open directory `/nothing`");
}

#[test]
fn a_program_comes_from_standard_input_and_from_a_file_of_code() {
    let text = b"(module (func (export \"_start\") unreachable))";
    sampan(&["run", "--profile", "sealed", "-"]).run_with(text).fails(1, "standard input trapped");
    let place = Place::of("(module (func (export \"_start\") unreachable))");
    let code = place.program().with_extension("code");
    let code = code.to_str().expect("a path of text");
    sampan(&["build", "--profile", "sealed", "-o", code]).arg(place.program()).run().well();
    sampan(&["run", "--profile", "sealed", code]).run().fails(1, "trapped");
    // As another user, with another seal.
    let other = sampan(&["run", "--profile", "sealed", code]);
    other.env("XDG_DATA_HOME", place.program().with_extension("d")).run().fails(2, "was not built here");
}

#[test]
fn native_code_runs_inside() {
    let native = |place: &Place, flags: &[&str]| sealed(place, &[&["-O", "codegen=native"], flags].concat());
    let hello = || sampan(&["run", "--profile", "sealed", "-O", "codegen=native"]).arg(guest("c/hello.wasm"));
    let ended = hello().arg("one").run();
    assert_eq!((&*ended.stdout, &*ended.stderr), (&b"hello one\n"[..], ""), "{ended:?}");
    // It was kept.
    let ended = hello().env("PATH", "/nowhere").run();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");

    native(&Place::of(LOOP), &["--timeout", "300ms"]).fails(1, "reached its time limit of 300ms\n");
    let reaches = "(module (memory 1) (func (export \"_start\") (drop (i32.load (i32.const -4)))))";
    let place = Place::of(reaches);
    native(&place, &[]).fails(1, "out of bounds");
    let code = place.program().with_extension("code");
    let code = code.to_str().expect("a path of text");
    let build = ["build", "--profile", "sealed", "--codegen", "native", "-o", code];
    sampan(&build).arg(place.program()).run().well();
    sampan(&["run", "--profile", "sealed", "-O", "codegen=native", code]).run().fails(1, "out of bounds");

    // Who called whom is known of functions that are no part of others.
    let deep = Place::of(
        r#"(module (memory 1) (table $way 2 funcref) (elem (table $way) (i32.const 0) func $in $mid)
        (func (export "change") (table.set $way (i32.const 0) (ref.func $mid)))
        (func $in (drop (i32.load (i32.const -4))))
        (func $mid (call_indirect $way (i32.const 0)) (i32.store (i32.const 0) (i32.const 1)))
        (func $outer (export "_start") (call_indirect $way (i32.const 1)) (i32.store (i32.const 0) (i32.const 1))))"#,
    );
    native(&deep, &[]).fails(1, "\n  at in\n  at mid\n  at outer\n  profile: sealed");

    let grow = "(module (memory 1) (func (export \"_start\")
        (drop (memory.grow (i32.const 4000))) (drop (memory.grow (i32.const 4000)))))";
    native(&Place::of(grow), &["--memory", "64M"]).fails(1, "reached its memory limit of 64 MiB");
    // Without a compiler it runs as ever, and says so.
    let ended = sampan(&["run", "--profile", "sealed", "-O", "codegen=native", "--no-cache"])
        .arg(guest("c/hello.wasm"))
        .env("PATH", "/nowhere")
        .run();
    assert_eq!((ended.code, &*ended.stdout), (Some(0), &b"hello\n"[..]), "{ended:?}");
    assert!(ended.stderr.contains("runs without native code: found no clang"), "{ended:?}");
}

#[test]
fn a_compiler_that_is_late_is_done_without() {
    let place = Place::of("(module (func (export \"_start\")))");
    let clang = place.program().with_file_name("clang-22");
    fs::write(&clang, "#!/bin/sh\nwhile :; do :; done\n").expect("the place is the test's");
    fs::set_permissions(&clang, Permissions::from_mode(0o755)).expect("it is the test's");
    let bin = clang.parent().expect("it lies there").display().to_string();
    let run = |seconds: &str, path: &str| {
        let seconds = format!("compile-seconds={seconds}");
        let options = ["run", "--profile", "sealed", "-O", "codegen=native", "-O", &seconds];
        let ended = sampan(&options).arg(place.program()).env("PATH", path).run();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    };
    let path = format!("{bin}:/usr/bin:/bin");
    // It is late, is known to be, and is still done without.
    for _ in 0..2 {
        let said = run("1", &path);
        assert!(said.ends_with("clang does not make native code of it in 1 s\n"), "{said}");
    }
    assert!(run("1", "/nowhere").ends_with("clang does not make native code of it in 1 s\n"));
    // It is asked again if it may take longer; and then it fails, which is known too.
    assert!(run("2", "/nowhere").contains("found no clang"));
    let fails = |words: &str| {
        fs::write(&clang, format!("#!/bin/sh\necho {words} >&2; false\n")).expect("it is the test's");
        let file = fs::File::options().write(true).open(&clang).expect("it is the test's");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it is the test's");
    };
    for words in ["one", "two"] {
        fails(words);
        let said = run("2", &path);
        assert!(said.contains("failed: one\nhint: another clang"), "{said}");
    }
    assert!(run("3", &path).contains("failed: two\n"));
}

#[test]
fn every_time_limit_ends_it() {
    let place = Place::of(LOOP);
    for options in [&[][..], &["-O", "interrupt=epoch"], &["-O", "interrupt=fuel"], &["-O", "interrupt=none"]]
    {
        let ended = sealed(&place, &[&["--timeout", "300ms"], options].concat());
        ended.fails(1, "reached its time limit of 300ms\n");
        assert!(ended.time < SOON, "{ended:?}");
    }
    sealed(&place, &["--fuel", "1000000"]).fails(1, "reached its fuel limit of 1000000\n");
}

#[test]
fn the_kernel_tells_when_the_process_holds_too_much() {
    let grow = "(module (memory 1) (func (export \"_start\")
        (drop (memory.grow (i32.const 4000))) (drop (memory.grow (i32.const 4000)))))";
    sealed(&Place::of(grow), &["--memory", "64M"]).fails(1, "reached its memory limit of 64 MiB");
}

#[test]
fn a_reader_that_leaves_ends_it_silently() {
    let flood = Place::of(&flood(1));
    let ended = sampan(&["run", "--profile", "sealed"]).arg(flood.program()).run_reading(|mut output| {
        let mut some = [0; 4096];
        output.read_exact(&mut some).expect("it writes");
    });
    assert_eq!((ended.signal, &*ended.stderr), (Some(SIGPIPE), ""), "{ended:?}");
}

#[test]
fn a_signal_ends_both_processes() {
    for (name, number) in [("TERM", SIGTERM), ("KILL", SIGKILL)] {
        let place = Place::of(LOOP);
        let script = format!(
            "exec 3>&1; sampan run --profile sealed {} & run=$!
             until child=$(cat /proc/$run/task/$run/children) && test \"$child\"; do :; done
             echo $child >&3; kill -{name} $run; wait $run; echo $?",
            place.program().display()
        );
        let ended = shell(&script).run();
        let output = String::from_utf8_lossy(&ended.stdout).into_owned();
        let [child, code] = output.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{ended:?}") };
        assert_eq!(code.parse(), Ok(128 + number), "{ended:?}");
        gone(child);
    }
}

/// Waits until the process with this number has ended.
#[track_caller]
fn gone(pid: &str) {
    let begun = Instant::now();
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    // A zombie has ended, and nobody here is to wait for it.
    while state().is_some_and(|state| !state.contains(") Z ")) {
        assert!(begun.elapsed() < SOON, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn nothing_is_left_behind() {
    let groups = || -> Vec<PathBuf> {
        let own = fs::read_to_string("/proc/self/cgroup").expect("it is told");
        let of_memory = own.lines().find_map(|line| line.split_once(":memory:")).map(|(_, path)| path);
        let path = match of_memory {
            Some(path) => Path::new("/sys/fs/cgroup/memory").join(path.trim_start_matches('/')),
            None => {
                let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
                Path::new("/sys/fs/cgroup").join(path)
            }
        };
        let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.to_string_lossy().contains("/sampan-")).collect()
    };
    let place = Place::of(LOOP);
    let script = format!(
        "sampan run --profile sealed {} & run=$!
         until child=$(cat /proc/$run/task/$run/children) && test \"$child\"; do :; done
         kill -KILL $run; wait $run; echo $run",
        place.program().display()
    );
    let killed = shell(&script).run();
    let killed = String::from_utf8_lossy(&killed.stdout).trim().to_owned();
    // Whoever is killed cannot tidy up: the next run does.
    let is_of = |group: &PathBuf| group.to_string_lossy().contains(&format!("/sampan-{killed}-"));
    let begun = Instant::now();
    while groups().iter().any(is_of) {
        assert!(begun.elapsed() < SOON, "{:?}", groups());
        sealed(&Place::of("(module (func (export \"_start\")))"), &[]).well();
    }
}

#[test]
fn where_nothing_is_allowed_it_does_not_run_unless_it_may_do_without() {
    // No user namespaces, and no rights: as on a machine that is locked down.
    let locked = |flags: &str| {
        shell(&format!(
            "exec unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces &&
             exec setpriv --bounding-set=-all --inh-caps=-all sampan run --profile sealed {flags} {}'",
            guest("c/hello.wasm").display()
        ))
        .run()
    };
    let ended = locked("");
    ended.fails(2, "cannot seal ");
    assert!(ended.stderr.contains("cause: pid namespace: refused: "), "{ended:?}");
    assert!(ended.stderr.contains("hint: `-O seal=best-effort`"), "{ended:?}");
    let ended = locked("-O seal=best-effort --verbose");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("sampan: root: refused: "), "{ended:?}");
    assert!(ended.stderr.contains("sampan: seccomp: held\n"), "{ended:?}");
    assert_eq!(ended.stdout, b"hello\n");
}

#[test]
fn its_options_are_its_own() {
    let place = Place::of("(module (func (export \"_start\")))");
    place.run(&["-O", "seal=required"]).fails(2, "cannot use `-O seal=required`");
    sealed(&place, &["-O", "processors=0.5"]).well();
    sealed(&place, &["-O", "processors=0"]).fails(2, "cannot use `-O processors=0`");
    place.run(&["-O", "egress-rate=1M"]).fails(2, "cannot use `-O egress-rate=1M`");
    sealed(&place, &["-O", "egress-rate=1M"]).well();
    sealed(&place, &["-O", "egress-rate=1K"]).fails(2, "cannot use `-O egress-rate=1K`");
    sealed(&place, &["-O", "egress-rate=1M", "--listen", "127.0.0.1:0"])
        .fails(2, "cannot use `--listen` with `-O egress-rate`");
    for flag in ["--sample", "--coredump"] {
        sealed(&place, &[flag, "file"]).fails(2, &format!("cannot use `{flag}` under profile `sealed`"));
    }
}

/// Bytes a second, as they are asked for.
const RATE: u64 = 1 << 20;

#[test]
fn a_program_sends_no_faster_than_it_may() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = server.local_addr().expect("an address");
    let reading = thread::spawn(move || {
        let (mut stream, _) = server.accept().expect("it connects");
        let (begun, mut bytes, mut buffer) = (Instant::now(), 0, vec![0; 1 << 20]);
        while begun.elapsed() < Duration::from_secs(2) {
            bytes += stream.read(&mut buffer).expect("it sends") as u64;
        }
        (bytes, begun.elapsed())
    });
    let (peer, rate) = (peer.to_string(), format!("egress-rate={RATE}"));
    let flood =
        sampan(&["run", "--profile", "sealed", "-O", &rate, "--net", &peer]).arg(guest("p2/net.wasm"));
    assert_eq!(flood.arg("tcp-flood").arg(peer).run().well(), "lost\n");
    let (bytes, time) = reading.join().expect("it reads to the end");
    let may = RATE * time.as_millis() as u64 / 1_000;
    // The first packets go out at once, and some before the server looks at its clock.
    assert!(bytes < may + may / 10 + (128 << 10), "{bytes} in {time:?}");
    assert!(bytes > may / 4, "{bytes} in {time:?}");
}
