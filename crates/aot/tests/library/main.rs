//! Programs as libraries for C: compiled, linked and run in C and C++, as an object and as a shared object, here and under
//! emulators.

mod product;

use std::fs;

use aot::{Library, Output, Precision, Target};
use product::{Language, OUTPUTS, Product, here};
use rt::Policy;

/// What most of the tests use, and what their products have in common.
const EVERYTHING: &str = include_str!("everything.wat");
const PRELUDE: &str = include_str!("prelude.h");

fn library(wat: &str, name: &str, target: Target, policy: Policy) -> Result<Library, aot::Error> {
    let wasm = wat::parse_str(wat).expect("the text is right");
    Library::new(name, &wasm, target, policy, Precision::Precise)
}

/// What a C program says that uses `everything.wat` as a library.
fn said(main: &str, policy: Policy, output: Output, language: Language) -> String {
    let product = Product::new(here(), language);
    let product = product.library(EVERYTHING, "everything", policy, output);
    product.run(&format!("{PRELUDE}\n#include \"everything.h\"\n{main}"))
}

const CALLS: &str = include_str!("calls.c");
const CALLS_SAY: &str = "\
missing: env.log
without imports: an import is missing
instance: no trap
add: 5
pair: -5 3
a function called free: 7
double: 0.75
log from ctx: 21 0.5
say: 42
log from ctx: 13 0.5
say: a host function failed
log from ctx: 14 0.5
again: 9
denied: 8 52 0
no arguments: 0 0
grow: 1, 131072 bytes
grow: -1, 131072 bytes
counter: 7 9
copies: 1 0 0 abc
ignored result: no trap
two instances: 100 7
";

#[test]
fn everything_that_a_header_has_can_be_called() {
    for language in [Language::C, Language::Cpp] {
        for output in OUTPUTS {
            for policy in [Policy::Guarded, Policy::Checked, Policy::Masked] {
                let said = said(CALLS, policy, output, language);
                assert_eq!(said, CALLS_SAY, "{language:?}, {output:?}, {}", policy.name());
            }
        }
    }
}

const TRAPS: &str = include_str!("traps.c");
const TRAPS_SAY: &str = "\
unreachable
out of bounds memory access
out of bounds memory access
out of bounds memory access
undefined element
uninitialized element
indirect call type mismatch
integer divide by zero
integer overflow
invalid conversion to integer
call stack exhausted
call stack exhausted
out of bounds table access
a host function failed
still: 5
exit: a host function failed
too little memory: there is less memory than the program begins with 1
no more than two pages: -1
freed from inside: no trap, and still 5
another's fault: handled
";

/// Each trap comes back as a number, the instance goes on, and a fault of the product's own is its own handler's.
#[test]
fn traps_are_returned() {
    for policy in [Policy::Guarded, Policy::Checked] {
        assert_eq!(said(TRAPS, policy, Output::Shared, Language::C), TRAPS_SAY, "{}", policy.name());
    }
    assert_eq!(said(TRAPS, Policy::Guarded, Output::Relocatable, Language::Cpp), TRAPS_SAY);
}

const THREADS: &str = include_str!("threads.c");
const THREADS_SAY: &str = "\
each thread has its own: 1
a loop was ended: interrupted
and all later calls: interrupted
until it is resumed: 5
";

#[test]
fn instances_run_on_threads_and_are_interrupted() {
    for output in OUTPUTS {
        assert_eq!(said(THREADS, Policy::Guarded, output, Language::C), THREADS_SAY);
    }
}

/// Two libraries in one program have two of everything, and one may call the other: their traps go the right way.
#[test]
fn libraries_of_one_program_know_nothing_of_each_other() {
    for output in OUTPUTS {
        let product = Product::new(here(), Language::C);
        let product = product.library(EVERYTHING, "everything", Policy::Guarded, output);
        let product = product.library(EVERYTHING, "other", Policy::Guarded, output);
        let said = product.run(&format!("{PRELUDE}\n{}", include_str!("two.c")));
        assert_eq!(
            said,
            "inner: call stack exhausted\nouter: a host function failed\ninner: out of bounds memory access\n\
             outer: a host function failed\nstill: 5 5\n"
        );
    }
}

#[test]
fn an_instance_that_begins_with_a_trap_is_none() {
    let start = "(module (func $start unreachable) (start $start))";
    let reactor = "(module (memory 1) (func (export \"_initialize\") unreachable))";
    for wat in [start, reactor] {
        let product =
            Product::new(here(), Language::C).library(wat, "early", Policy::Guarded, Output::Shared);
        let said = product.run(
            "#include <stdio.h>\n#include \"early.h\"\nint main(void) {\n  early_instance *instance;\n  \
             sampan_trap trap = early_instance_new(NULL, &instance);\n  \
             printf(\"%s %d\\n\", sampan_trap_message(trap), instance == NULL);\n  return 0;\n}\n",
        );
        assert_eq!(said, "unreachable 1\n");
    }
}

/// A shared object shows what its header has, and nothing else.
#[test]
fn a_shared_object_hides_its_inside() {
    let product =
        Product::new(here(), Language::C).library(EVERYTHING, "everything", Policy::Guarded, Output::Shared);
    let symbols = product.symbols("everything.so");
    assert!(symbols.contains(&"everything_add".to_owned()), "{symbols:?}");
    assert!(symbols.iter().all(|name| name.starts_with("everything_")), "{symbols:?}");
}

/// Names that would end a comment or a string, be words of C or C++, or mean the same, become a header that compiles with all
/// warnings in both languages.
#[test]
fn hostile_names_do_no_harm() {
    let names = [
        "*/ int injected; /*",
        "\\\"; system(\\\"id\\\"); //",
        "\\n#error injected\\n",
        "\\\\\\n",
        "??/",
        "int",
        "class",
        "template",
        "assert",
        "",
        "a-b",
        "a.b",
        "a b",
        "a_b",
        "a_b_2",
        "é",
        "\\u{202e}",
        "_instance",
        "instance_new",
        "instance_free",
        "imports",
        "memory_size",
        "%s%n",
        "0",
        "\\00",
    ];
    let exports: String =
        names.iter().map(|name| format!("(func (export \"{name}\") (param i32))")).collect();
    let imports: String =
        names.iter().map(|name| format!("(import \"{name}\" \"{name}\" (func (param i32)))")).collect();
    let wat = format!("(module {imports} (memory (export \"memory\") 1) {exports})");
    for (name, language) in
        [("static", Language::C), ("static", Language::Cpp), ("*/ 7;\n", Language::C), ("new", Language::Cpp)]
    {
        let made = library(&wat, name, here(), Policy::Guarded).expect("it is a library");
        let header = made.header();
        let breaks_out = header.contains("*/ int") || header.lines().any(|line| line.starts_with("#error"));
        assert!(!breaks_out && header.is_ascii(), "{header}");
        let product = Product::new(here(), language);
        let product = product.library_in("hostile", &wat, name, Policy::Guarded, Output::Relocatable);
        let count = names.len();
        let said = product.run(&format!(
            "#include <stdio.h>\n#include \"hostile.h\"\nint main(void) {{ printf(\"{count}\\n\"); return 0; }}"
        ));
        assert_eq!(said, format!("{count}\n"), "{name}");
    }
}

/// So many exports of one name do not take long: each begins where the last one found its number.
#[test]
fn many_equal_names_are_numbered() {
    let exports: String =
        (0..20_000).map(|number| format!("(export \"{}\" (func 0))", equal_name(number))).collect();
    let made =
        library(&format!("(module (func) {exports})"), "many", here(), Policy::Checked).expect("a library");
    assert!(made.header().contains("many______________________20000("));
}

/// A module of some kilobytes must not become gigabytes of C.
#[test]
fn what_would_be_too_much_c_is_refused() {
    let exports: String = (0..300).map(|number| format!("(export \"{number}\" (func 0))")).collect();
    let wide = format!("(module (func (param {})) {exports})", "i32 ".repeat(1_000));
    let error = library(&wide, "wide", here(), Policy::Checked).expect_err("it is refused");
    assert!(matches!(error, aot::Error::TooLarge), "{error}");
}

/// Different names of which nothing but `_` is left.
fn equal_name(number: u32) -> String {
    (0..20).map(|bit| if number >> bit & 1 == 1 { '+' } else { '-' }).collect()
}

#[test]
fn what_c_cannot_give_is_refused_by_name() {
    let refused =
        |wat: &str| library(wat, "x", here(), Policy::Checked).expect_err("it is refused").to_string();
    assert_eq!(
        refused("(module (import \"env\" \"memory\" (memory 1)))"),
        "it imports the memory `env.memory`, and C gives a library functions of numbers only"
    );
    assert_eq!(
        refused("(module (import \"env\" \"f\" (func (param v128))))"),
        "it imports the function with a vector or a reference `env.f`, and C gives a library functions of numbers only"
    );
    let wat = "(module (func (export \"wide\") (param v128)) (table (export \"t\") 1 funcref))";
    let made = library(wat, "x", here(), Policy::Checked).expect("the rest can be had");
    assert!(made.header().contains("/* Not for C: the function \"wide\" has a vector or a reference */"));
    assert!(made.header().contains("/* Not for C: the table \"t\" */"));
}

#[test]
fn the_header_is_as_it_was() {
    let made = library(EVERYTHING, "everything", here(), Policy::Guarded).expect("it is a library");
    // The number that makes the guard its own depends on the compiler of Rust.
    let guard =
        made.header().lines().find_map(|line| line.strip_prefix("#define SAMPAN_LIBRARY_")).expect("a guard");
    let header = made.header().replace(guard, "0123456789ABCDEF");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/everything.h");
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, &header).expect("it can be written");
    }
    assert_eq!(header, fs::read_to_string(path).expect("it is there"), "`BLESS=1` writes it anew");
}

#[test]
fn libraries_run_on_other_processors() {
    // `cargo xtask test` says whether there are Rust's libraries for them, and tells aloud when there are none.
    if std::env::var_os("SAMPAN_FOREIGN").is_none() {
        println!("not run: `SAMPAN_FOREIGN` is not set");
        return;
    }
    for target in ["aarch64-unknown-linux-gnu", "riscv64gc-unknown-linux-gnu"] {
        let target = Target::new(target).expect("it is known");
        for output in OUTPUTS {
            for (main, expected) in [(CALLS, CALLS_SAY), (TRAPS, TRAPS_SAY)] {
                let product = Product::new(target, Language::C);
                let product = product.library(EVERYTHING, "everything", Policy::Guarded, output);
                let said = product.run(&format!("{PRELUDE}\n#include \"everything.h\"\n{main}"));
                assert_eq!(said, expected, "{}, {output:?}", target.triple);
            }
        }
    }
    for target in ["thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"] {
        let target = Target::new(target).expect("it is known");
        let product = Product::new(target, Language::C);
        let product = product.library(EVERYTHING, "everything", Policy::Checked, Output::Relocatable);
        product.compile(&format!("#include \"everything.h\"\n{}", include_str!("bare.c")));
    }
}
