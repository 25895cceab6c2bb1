//! What a user reads when a program did not come to its own end.

use engine::wasmtime::{self, Trap};
use engine::{Limit, Settings, backtrace};
use host::{Denial, Denials, Error};

use crate::report::Report;
use crate::table::printable;

/// Explains why `program` did not run to its end.
pub(crate) fn explain(program: &str, error: &Error, settings: &Settings, denials: &Denials) -> Report {
    match error {
        Error::Limit { limit, source } => {
            let report = Report::failure(format!("{program} reached its {}", limited(*limit)));
            frames(report, source).note(format!("profile: {}", settings.profile)).hint(raise(*limit))
        }
        Error::Trap(source) => {
            let report = Report::failure(format!("{program} trapped")).cause(reason(source));
            let report = frames(report, source).note(format!("profile: {}", settings.profile));
            denied(report, denials)
        }
        Error::Link(source) => Report::usage(format!("cannot run {program}"))
            .cause(error)
            .cause(unlinked(source))
            .hint("`sampan inspect` lists what it imports"),
        Error::NotACommand { exports } => {
            Report::usage(format!("cannot run {program}")).cause(error).hint(not_a_command(exports))
        }
        Error::NoFunction { exports, .. } => {
            Report::usage(error).hint(format!("it exports {}", listed(exports)))
        }
        Error::Arguments { signature, .. } => {
            Report::usage(error).hint(format!("it is called as `{signature}`"))
        }
        error => Report::from_error(error),
    }
}

/// What could not be linked, without Wasmtime's words on how it looked for it.
fn unlinked(source: &wasmtime::Error) -> String {
    let text = format!("{source:#}");
    let text = text.strip_suffix(": function implementation is missing").unwrap_or(&text);
    printable(text)
        .replace(", but a matching implementation was not found in the linker", "")
        .replace(" has not been defined", "")
        .replace(" has the wrong type", "")
}

/// Adds one hint that names the grant whose lack the program met, if it met any.
fn denied(report: Report, denials: &Denials) -> Report {
    match denials.list().first() {
        Some(denial) => report.hint(advice(denial)),
        None => report,
    }
}

/// Tells the user of a program that failed by itself which grant it lacked.
pub(crate) fn hint_at_denials(denials: &Denials) {
    if let Some(denial) = denials.list().first() {
        eprintln!("\nhint: {}", advice(denial));
    }
}

/// On one line: the program chose the names in it.
fn advice(denial: &Denial) -> String {
    printable(&format!("{denial}; `{}` grants it", denial.grant()))
}

fn limited(limit: Limit) -> String {
    match limit {
        Limit::Memory { bytes_max, asked } => {
            format!("memory limit of {}: it asked for {} in all", size(bytes_max), size(asked))
        }
        Limit::Instances => "limit of instances, memories or tables".to_owned(),
        Limit::Time(time) => format!("time limit of {}", humantime::format_duration(time)),
        Limit::Fuel(fuel) => format!("fuel limit of {fuel}"),
        Limit::Stack(bytes) => format!("stack limit of {}", size(bytes)),
        Limit::Handles(count) => format!("limit of {count} open files and other host resources"),
        limit => limit.to_string(),
    }
}

/// Bytes as a person reads them.
fn size(bytes: usize) -> String {
    let of = |unit: usize| {
        let number = format!("{:.1}", bytes as f64 / unit as f64);
        number.trim_end_matches(".0").to_owned()
    };
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", of(0x400)),
        0x10_0000..0x4000_0000 => format!("{} MiB", of(0x10_0000)),
        _ => format!("{} GiB", of(0x4000_0000)),
    }
}

fn raise(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory { .. } | Limit::Heap(_) => "`--memory` sets the limit",
        Limit::Time(_) => "`--timeout` sets the limit",
        Limit::Fuel(_) => "`--fuel` sets the limit",
        Limit::Stack(_) => "`-O stack=SIZE` sets the limit; a recursion without end needs another cure",
        Limit::Handles(_) => "`-O handles=COUNT` sets the limit",
        _ => "this limit is fixed",
    }
}

fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").replace("wasm `", "`"),
        None => error.root_cause().to_string(),
    }
}

/// Adds the functions of the program that were running, the innermost first.
fn frames(report: Report, error: &wasmtime::Error) -> Report {
    backtrace(error).into_iter().fold(report, Report::note)
}

fn not_a_command(exports: &[String]) -> String {
    let serves = exports.iter().any(|export| {
        export.starts_with("wasi:http/incoming-handler") || export.starts_with("wasi:http/handler")
    });
    match exports {
        _ if serves => "it answers HTTP requests: `sampan serve` serves it".to_owned(),
        [] => "it exports no function at all".to_owned(),
        exports => format!("`--invoke NAME` calls one function; it exports {}", listed(exports)),
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text =
        names.iter().take(SHOWN).map(|name| format!("`{}`", printable(name))).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        text = "none".to_owned();
    }
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
