//! Names of a program as identifiers of C and C++. They may be hostile: what comes out has letters, digits and `_` only,
//! is no word of either language, and is given once.

use std::collections::{HashMap, HashSet};

/// Compilers take as many characters; of longer names the beginning stays.
const CHARS_MAX: usize = 100;

/// Words of C and C++ with a `_`, as all identifiers here have, and names that their headers define.
const RESERVED: [&str; 52] = [
    "and_eq",
    "atomic_cancel",
    "atomic_commit",
    "atomic_noexcept",
    "char16_t",
    "char32_t",
    "char8_t",
    "co_await",
    "co_return",
    "co_yield",
    "const_cast",
    "dynamic_cast",
    "errno_t",
    "float_t",
    "double_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "int8_t",
    "intmax_t",
    "intptr_t",
    "max_align_t",
    "nullptr_t",
    "not_eq",
    "offset_of",
    "off_t",
    "or_eq",
    "pid_t",
    "ptrdiff_t",
    "reinterpret_cast",
    "rsize_t",
    "sampan_limits",
    "sampan_trap",
    "sampan_trap_message",
    "sig_atomic_t",
    "size_t",
    "ssize_t",
    "static_assert",
    "static_cast",
    "thread_local",
    "time_t",
    "typeof_unqual",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "uint8_t",
    "uintmax_t",
    "uintptr_t",
    "va_arg",
    "va_list",
    "wchar_t",
    "xor_eq",
];

/// A name as the beginning of identifiers: after a `word` unless it begins with a letter.
pub(super) fn prefix(word: &str, name: &str) -> String {
    let text = identifier(name);
    if text.starts_with(|char: char| char.is_ascii_alphabetic()) { text } else { format!("{word}_{text}") }
}

/// A text with `_` for whatever no identifier has.
fn identifier(text: &str) -> String {
    let of = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    text.chars().take(CHARS_MAX).map(of).collect()
}

/// Identifiers that are given once.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The next number of a name that was wanted before: a hostile program may want one a million times.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Identifiers for one thing, which begin with what [`prefix`] gave and the name, and end with each of `ends`. A name that
    /// is taken gets a number.
    pub(super) fn take(&mut self, before: &str, name: &str, ends: &[&str]) -> Vec<String> {
        let base = format!("{before}_{}", identifier(name));
        let next = self.numbers.entry(base.clone()).or_insert(1);
        let free = loop {
            let numbered = if *next == 1 { base.clone() } else { format!("{base}_{next}") };
            *next += 1;
            let names: Vec<String> = ends.iter().map(|end| unreserved(format!("{numbered}{end}"))).collect();
            if !names.iter().any(|name| self.taken.contains(name)) {
                break names;
            }
        };
        self.taken.extend(free.iter().cloned());
        free
    }
}

/// Macros are written in capitals: a name without small letters might be one.
fn unreserved(mut name: String) -> String {
    if RESERVED.contains(&name.as_str()) || !name.contains(|char: char| char.is_ascii_lowercase()) {
        name.push('_');
    }
    name
}

/// A name of the program in a comment or a string of C: what could end either, or mean anything there, is written as its
/// number.
pub(super) fn shown(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _-.:@$#<>()[]{},;=+!%&|~^'".contains(&byte);
    let of = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03o}") };
    text.bytes().take(CHARS_MAX).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_given_once() {
        let mut names = Names::default();
        let mut take = |name: &str| names.take("zlib", name, &[""]).remove(0);
        assert_eq!(take("inflate"), "zlib_inflate");
        assert_eq!(
            (take("a-b"), take("a.b"), take("a_b_2")),
            ("zlib_a_b".into(), "zlib_a_b_2".into(), "zlib_a_b_2_2".into())
        );
        assert_eq!((take(""), take("é*/")), ("zlib_".into(), "zlib____".into()));
        assert!(take(&"x".repeat(10_000)).len() < 120);
        assert_eq!(names.take("static", "assert", &[""]), ["static_assert_"]);
        assert_eq!(names.take("INT8", "MAX", &[""]), ["INT8_MAX_"]);
        let of = |name| prefix("lib", name);
        assert_eq!([of("zlib"), of("7z"), of(""), of("a*/")], ["zlib", "lib_7z", "lib_", "a__"]);
    }

    #[test]
    fn a_group_of_names_stays_together() {
        let mut names = Names::default();
        names.take("a", "memory_size", &[""]);
        assert_eq!(names.take("a", "memory", &["", "_size"]), ["a_memory_2", "a_memory_2_size"]);
    }

    #[test]
    fn a_shown_name_ends_nothing() {
        assert_eq!(shown("a*/b\"\\\n??/é"), "a\\052\\057b\\042\\134\\012\\077\\077\\057\\303\\251");
    }
}
