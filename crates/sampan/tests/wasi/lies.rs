//! `guests/hostile/lies.c` for every call of WASI 0.1 and thousands of seeds: in this process, where a host that reads or
//! writes elsewhere brings the test down, and some of them through the command.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::wasmtime::Instance;
use engine::{Compiled, Engine, Profile, Settings};
use host::grants::Dir;
use host::{Grants, Host, Stdio, link};

use crate::guests;

/// Seeds for each call and each engine.
const SEEDS: i32 = 100;

/// What the guest returns when a call wrote to what it was not offered.
const BROKEN: i32 = 1000;

/// The calls of WASI 0.1.
const CALLS: i32 = 46;

const ENGINES: [(Profile, &[&str]); 7] = [
    (Profile::Dense, &[]),
    (Profile::Dense, &["pool=off"]),
    (Profile::Dense, &["bounds=checked", "pool=off"]),
    (Profile::Portable, &[]),
    (Profile::Dense, &["codegen=native"]),
    (Profile::Dense, &["codegen=native", "bounds=checked"]),
    (Profile::Trusted, &["bounds=masked"]),
];

/// How often each way to end was met.
#[derive(Debug, Default, PartialEq)]
struct Ends {
    done: u32,
    refused: u32,
    trapped: u32,
}

#[test]
fn no_lie_to_the_host_is_believed() {
    let program = std::fs::read(guests::built("hostile/lies.wasm")).expect("it is built");
    let mut all = Vec::new();
    for (profile, options) in ENGINES {
        let mut settings = Settings::new(profile);
        settings.tools = std::env::var_os("PATH").expect("a path");
        options.iter().for_each(|option| settings.set(option).expect("an option"));
        let engine = Engine::new(settings).expect("an engine");
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let ends = lie(&engine, &program, place.path());
        println!("{profile} {options:?}: {ends:?}");
        let least = (CALLS * SEEDS / 20) as u32;
        assert!(ends.done > least && ends.refused > least && ends.trapped > least, "{profile}: {ends:?}");
        all.push(ends);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "no engine is lied to otherwise: {all:?}");
}

fn lie(engine: &Engine, program: &[u8], place: &Path) -> Ends {
    let program = engine.load(program, None).expect("a program");
    let Compiled::Module(module) = program.compiled() else { panic!("a component") };
    let grants = Grants {
        dirs: vec![Dir { host: place.to_owned(), guest: "/data".to_owned(), read_only: false }],
        ..Grants::default()
    };
    let linker = link::module(engine.wasmtime(), &program, module, &grants).expect("it is linked");
    let linked = linker.instantiate_pre(module).expect("it is linked");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut ends = Ends::default();
    runtime.block_on(async {
        for (call, seed) in (0..CALLS).flat_map(|call| (0..SEEDS).map(move |seed| (call, seed))) {
            let host = Host::new(&["lies".to_owned()], Stdio::Null, &grants, &engine.settings().limits);
            let mut store = engine.store(host.expect("the directory is there"));
            let instance: Instance = linked.instantiate_async(&mut store).await.expect("an instance");
            let export = |store: &mut _, name| instance.get_func(store, name).expect(name);
            let count = export(&mut store, "count").typed::<(), i32>(&store).expect("its type");
            assert_eq!(count.call_async(&mut store, ()).await.expect("a number"), CALLS);
            let lie = export(&mut store, "lie").typed::<(i32, i32), i32>(&store).expect("its type");
            match lie.call_async(&mut store, (call, seed)).await {
                Ok(0) => ends.done += 1,
                Ok(BROKEN) => panic!("call {call}, seed {seed}: it wrote to what it was not offered"),
                Ok(error) => {
                    assert!((1..=76).contains(&error), "call {call}, seed {seed}: {error}");
                    ends.refused += 1;
                }
                // The end of the program: what it was not offered must be as it was, all the same.
                Err(_) => {
                    let intact = export(&mut store, "intact").typed::<(), i32>(&store).expect("its type");
                    let intact = intact.call_async(&mut store, ()).await.expect("it can still be asked");
                    assert_eq!(intact, 1, "call {call}, seed {seed}: it wrote to what it was not offered");
                    ends.trapped += 1;
                }
            }
        }
    });
    ends
}

#[test]
fn no_lie_is_believed_in_a_process_of_its_own() {
    let program: PathBuf = guests::built("hostile/lies.wasm");
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasi");
    let (mut done, mut failed) = (0, 0);
    for (call, seed) in (0..CALLS).flat_map(|call| [(call, 7), (call, 12)]) {
        let mut sampan = Command::new(env!("CARGO_BIN_EXE_sampan"));
        sampan.args(["run", "--profile", "sealed", "--dir", ".:/data", "--invoke", "lie"]).arg(&program);
        sampan.args([call.to_string(), seed.to_string()]).current_dir(place.path());
        sampan.env("XDG_CACHE_HOME", home.join("cache")).env("XDG_DATA_HOME", home.join("data"));
        let output = sampan.output().expect("it runs");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            !stderr.contains("panicked") && !stderr.contains("sealed process"),
            "call {call}, seed {seed}: {stderr}"
        );
        match output.status.code() {
            // The last call ends the program with any code.
            _ if call == CALLS - 1 => {}
            Some(0) if stdout.trim() != BROKEN.to_string() => done += 1,
            Some(1) if stderr.starts_with("error: ") => failed += 1,
            _ => panic!("call {call}, seed {seed}: {}, {stdout}{stderr}", output.status),
        }
    }
    println!("{done} returned, {failed} trapped");
    assert!(done > 10 && failed > 10, "{done} returned, {failed} trapped");
}
