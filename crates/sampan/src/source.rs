//! Where a program comes from: a file, or standard input.

use std::error::Error as _;
use std::io::{self, ErrorKind, stdin};
use std::path::Path;

use engine::limits::COMPILE_SECONDS_MAX;
use engine::options::Interrupt;
use engine::{CodeCache, Engine, Error, Profile, Program, wasmtime};

use crate::report::Report;
use crate::table::printable;
use crate::{home, trust_list};

/// The bytes of the program at `path`; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Report> {
    if is_stdin(path) {
        return engine::bounded(stdin().lock())
            .map_err(|error| Report::usage("cannot read the program from standard input").cause(error));
    }
    engine::read(path).map_err(|error| explain(path, &error))
}

/// The same, of a program that is on the trust list.
fn read_trusted(path: &Path) -> Result<Vec<u8>, Report> {
    let bytes = read(path)?;
    trust_list::require(path, &bytes)?;
    Ok(bytes)
}

/// The program at `path`, ready to run on `engine`, which becomes one for native code if the program was built as that, one
/// for programs that do several things at once if the program does, one that does not interrupt it if no signal may, and loses its pool if the program does not fit it; `-` is standard input.
pub(crate) fn load(engine: &mut Engine, path: &Path, cache: Option<&CodeCache>) -> Result<Program, Report> {
    let at_hand = match engine.settings().profile {
        Profile::Trusted => Some(read_trusted(path)?),
        _ if is_stdin(path) => Some(read(path)?),
        _ => None,
    };
    load_with(engine, path, |engine| match &at_hand {
        Some(bytes) => engine.load(bytes, cache),
        None => engine.load_file(path, cache, || home::seal().ok()),
    })
}

/// What is said of a program of which clang makes no code, as it will not until something has changed.
const AGAIN: &str =
    "another clang is asked again, and the same one if `-O compile-seconds` is higher than it was";

/// As [`load`], for a program that comes in another way.
pub(crate) fn load_with(
    engine: &mut Engine,
    path: &Path,
    load: impl Fn(&Engine) -> Result<Program, Error>,
) -> Result<Program, Report> {
    let mut program = load(engine);
    if let Err(Error::IsNative) = program
        && let Some(other) = engine.for_native()
    {
        *engine = other.map_err(|error| explain(path, &error))?;
        program = load(engine);
    }
    if let Err(error) = &program
        && does_without_native(engine, error)
        && let Some(other) = engine.without_native()
    {
        let why = error.source().filter(|_| matches!(error, Error::Native(_))).map(ToString::to_string);
        let why = why.unwrap_or_else(|| error.to_string());
        let why = printable(why.lines().next().unwrap_or_default());
        let again = if let Error::Clang(_) = error { format!("\nhint: {AGAIN}") } else { String::new() };
        eprintln!("sampan: {} runs without native code: {why}{again}", shown(path));
        *engine = other.map_err(|error| explain(path, &error))?;
        program = load(engine);
    }
    if let Err(Error::Concurrent) = program
        && let Some(other) = engine.with_concurrency()
    {
        *engine = other.map_err(|error| explain(path, &error))?;
        program = load(engine);
    }
    if let Err(Error::Unstoppable) = program {
        // The end of the process stops it.
        *engine = engine.with_interrupt(Interrupt::None).map_err(|error| explain(path, &error))?;
        program = load(engine);
    }
    if let Err(Error::Unfit(_)) = program
        && let Some(other) = engine.without_pool()
    {
        *engine = other.map_err(|error| explain(path, &error))?;
        program = load(engine);
    }
    program.map_err(|error| explain(path, &error))
}

/// Whether a program for which there is no native code runs all the same. Where it can never be any, only who asked for a
/// profile is content with that.
fn does_without_native(engine: &Engine, error: &Error) -> bool {
    match error {
        Error::Late(_) | Error::Clang(_) | Error::Native(_) => true,
        Error::NotNative(_) => engine.settings().profile == Profile::Trusted,
        _ => false,
    }
}

/// The program's name: the file's, as the program itself sees it too.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// How the program is named in what a user reads: as it was typed.
pub(crate) fn shown(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { format!("`{}`", path.display()) }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a user reads when the program cannot be made ready.
pub(crate) fn explain(path: &Path, error: &Error) -> Report {
    let shown = shown(path);
    match error {
        Error::Read { source, .. } => unreadable(path, source),
        Error::NotWasm(reason) => Report::usage(format!("{shown} is not a WebAssembly program"))
            .cause(reason)
            .hint("a program is a WebAssembly module or component, binary (.wasm) or text (.wat)"),
        Error::Text(source) => Report::usage(format!("{shown} is not valid WebAssembly text"))
            .cause(source.to_string().replace("<anon>", shown.trim_matches('`'))),
        Error::Invalid(source) => invalid(&shown, source),
        Error::Incompatible(source) => Report::usage(format!("{shown} was precompiled for another engine"))
            .cause(format!("{source:#}"))
            .hint("build it again from the program with `sampan build`, here and with the same options"),
        Error::Unsealed => Report::usage(format!("{shown} is precompiled code that was not built here"))
            .cause("such code is run unchecked: whoever made the file could do all that you can")
            .hint("run the program it was made from, or, if you trust its maker, add `-O precompiled=any`"),
        Error::IsNative => Report::usage(format!("{shown} is native code, which this profile does not run"))
            .hint("run the program it was made from, or run this under profile `dense`"),
        Error::NotNative(reason) => Report::usage(format!("{shown} cannot become native code"))
            .cause(reason)
            .hint("run it without `-O codegen=native`"),
        Error::NoClang { .. } => Report::usage(format!("cannot make native code of {shown}"))
            .cause(error)
            .hint("install `clang-19`, or put clang in `PATH`; without `-O codegen=native` none is needed"),
        Error::Late(seconds) => Report::usage(format!("cannot make native code of {shown}"))
            .cause(error)
            .hint(format!("`-O compile-seconds={}` gives it longer", longer(*seconds))),
        Error::Clang(_) => {
            Report::usage(format!("cannot make native code of {shown}")).cause(error).hint(AGAIN)
        }
        Error::Setup(source) => Report::usage(format!("cannot load {shown}")).cause(format!("{source:#}")),
        Error::Unfit(source) => Report::usage(format!("{shown} does not fit the pool"))
            .cause(format!("{source:#}"))
            .hint("run it without the pool: `-O pool=off`"),
        _ => Report::from_error(error),
    }
}

/// More time of a processor than was too little.
fn longer(seconds: u32) -> u32 {
    seconds.saturating_mul(4).min(COMPILE_SECONDS_MAX)
}

fn unreadable(path: &Path, source: &io::Error) -> Report {
    let report = Report::usage(format!("cannot read `{}`", path.display())).cause(source);
    match source.kind() {
        ErrorKind::NotFound => report.hint("name the file of a program; `-` reads it from standard input"),
        ErrorKind::IsADirectory => report.hint("name the file of a program in it"),
        _ => report,
    }
}

/// Tells what the validator found, and where, without the names of the compiler's own layers around it.
fn invalid(shown: &str, source: &wasmtime::Error) -> Report {
    let report = Report::usage(format!("{shown} is not a valid WebAssembly program"));
    let found = source.root_cause().to_string();
    let (found, byte) = place(&found);
    match (function(&source.to_string()), byte) {
        (Some(function), Some(byte)) => report.cause(found).note(format!("in {function}, at byte {byte}")),
        (None, Some(byte)) => report.cause(found).note(format!("at byte {byte}")),
        _ => report.cause(found),
    }
}

/// Takes the place out of the validator's message, which has one of two forms.
fn place(found: &str) -> (&str, Option<usize>) {
    if let Some((found, at)) = found.rsplit_once(" (at offset 0x")
        && let Ok(byte) = usize::from_str_radix(at.trim_end_matches(')'), 16)
    {
        return (found, Some(byte));
    }
    let in_function = found.strip_prefix("Invalid input WebAssembly code at offset ");
    match in_function.and_then(|found| found.split_once(": ")) {
        Some((byte, found)) => (found, byte.parse().ok()),
        None => (found, None),
    }
}

/// The function in the compiler's message `failed to compile: wasm[0]::function[7]::name`.
fn function(message: &str) -> Option<String> {
    let (number, name) = message.split_once("::function[")?.1.split_once(']')?;
    Some(match name.strip_prefix("::") {
        Some(name) => name.to_owned(),
        None => format!("function {number}"),
    })
}
