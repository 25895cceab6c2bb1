//! Which functions of a program were running when it trapped, as its programmer knows them.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};
use wasmtime::{FrameInfo, FrameSymbol, WasmBacktrace};

use crate::limits::FUNCTION_NAME_BYTES_MAX;
use crate::shim::{NativeBacktrace, is_shim};
use crate::signal::is_interruption;

/// Frames that Wasmtime keeps of a backtrace, from the innermost.
const FRAMES_MAX: usize = 20;

/// A line for each function that was running, the innermost first: `at NAME (FILE:LINE)`, as far as the program says it. One
/// that called itself is a line. Nothing of the host is among them; the last is `…` if there are more.
pub fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let of_program = backtrace.frames().iter().filter(|frame| !is_interruption(frame) && !is_shim(frame));
    let mut known: Vec<String> = of_program.flat_map(functions).collect();
    if let Some(NativeBacktrace { functions, is_whole }) = error.downcast_ref() {
        let names = functions.iter().map(|function| named(function.name.as_deref(), function.number));
        list(&mut lines, &names.collect::<Vec<_>>());
        if *is_whole {
            // What Wasmtime knows of native code is the export through which it was entered.
            known.drain(..1.min(known.len()));
        } else {
            lines.push(MORE.to_owned());
        }
    }
    list(&mut lines, &known);
    if backtrace.frames().len() >= FRAMES_MAX {
        lines.push(MORE.to_owned());
    }
    lines
}

/// Functions that are not known.
const MORE: &str = "…";

/// Adds functions, those of a recursion once.
fn list(lines: &mut Vec<String>, functions: &[String]) {
    lines.extend(functions.chunk_by(|one, next| one == next).map(|same| match same.len() {
        1 => format!("at {}", same[0]),
        times => format!("at {} ({times} times)", same[0]),
    }));
}

/// A function's name as its programmer wrote it, if it is one that a Rust or C++ compiler mangled.
fn demangled(name: &str) -> String {
    let name = &name[..name.floor_char_boundary(FUNCTION_NAME_BYTES_MAX)];
    let mut plain = Bounded(String::new());
    let demangled = match rustc_demangle::try_demangle(name) {
        Ok(rust) => write!(plain, "{rust:#}").is_ok(),
        Err(_) => Symbol::new(name)
            .is_ok_and(|symbol| symbol.structured_demangle(&mut plain, &DemangleOptions::default()).is_ok()),
    };
    if demangled { plain.0 } else { name.to_owned() }
}

/// Text that does not become longer than a name may be: a mangled one can stand for any amount of it.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > FUNCTION_NAME_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What a function is called that may have a name.
fn named(name: Option<&str>, number: u32) -> String {
    name.map_or_else(|| format!("function {number}"), demangled)
}

/// The functions of one frame of machine code: several where some were inlined. With the lines of their source where
/// the program has them.
fn functions(frame: &FrameInfo) -> Vec<String> {
    let unnamed = || named(frame.func_name(), frame.func_index());
    if frame.symbols().is_empty() {
        return vec![unnamed()];
    }
    let shown = |symbol: &FrameSymbol| {
        let name = symbol.name().map_or_else(unnamed, demangled);
        match (symbol.file(), symbol.line()) {
            (Some(file), Some(line)) => format!("{name} ({file}:{line})"),
            _ => name,
        }
    };
    frame.symbols().iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_they_were_written() {
        assert_eq!(demangled("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(demangled("_ZN3foo3barEi"), "foo::bar(int)");
        assert_eq!(demangled("main"), "main");
    }

    /// A function whose parameters are types of types, each of which stands ten times in the next.
    fn nested(levels: u8) -> String {
        let levels = (0..levels).map(|level| {
            // What was written last is the one after the name of its template.
            let last = char::from_digit(2 * u32::from(level), 36).unwrap().to_ascii_uppercase();
            format!("1{}I{}E", (b'b' + level) as char, format!("S{last}_").repeat(10))
        });
        format!("_Z1f1aIiiE{}", levels.collect::<String>())
    }

    #[test]
    fn a_name_that_stands_for_more_than_a_name_stays_as_it_is() {
        assert!(demangled(&nested(2)).contains("c<b<a<int, int>, a<int, int>"), "{}", demangled(&nested(2)));
        assert_eq!(demangled(&nested(6)), nested(6));
        let long =
            format!("_ZN{0}{1}E", 2 * FUNCTION_NAME_BYTES_MAX, "a".repeat(2 * FUNCTION_NAME_BYTES_MAX));
        assert_eq!(demangled(&long).len(), FUNCTION_NAME_BYTES_MAX);
    }
}
