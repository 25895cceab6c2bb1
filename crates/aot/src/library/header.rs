//! The header of a library: what a C or C++ program includes.

use std::fmt::Write;

use super::{Denial, Interface, c_type, params};
use crate::module::Type;
use rt::Trap;

/// What an instance may end with at its beginning beside traps; the numbers are those of `hosts/c`.
const ERRORS: [(&str, u32, &str); 3] = [
    ("IMPORT", 64, "an import is missing"),
    ("RESOURCES", 65, "there is less memory than the program begins with"),
    ("VERSION", 66, "the library is not whole"),
];

pub(super) fn header(interface: &Interface<'_>) -> String {
    let mut text = String::new();
    let guard = format!("SAMPAN_LIBRARY_{:016X}", interface.unique);
    let prefix = &interface.prefix;
    let lines = [
        &format!("/* `{prefix}`: a WebAssembly program as a library, made by `sampan build`. Do not edit."),
        "",
        "   The program reaches its own memory and the functions that it is given, and nothing else. What it does wrong",
        "   ends its call with a trap, which is returned; the instance can be called again, or freed.",
        "",
        "   An instance belongs to one thread at a time. Several instances know nothing of each other. */",
        &format!("#ifndef {guard}\n#define {guard}\n"),
        "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n",
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n",
    ];
    lines.iter().for_each(|line| add(&mut text, line));
    shared(&mut text);
    add(
        &mut text,
        &format!(
            "/* One running copy of the program. */\ntypedef struct {prefix}_instance {prefix}_instance;\n"
        ),
    );
    imports(&mut text, interface);
    instances(&mut text, interface);
    exports(&mut text, interface);
    add(&mut text, &format!("#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {guard} */"));
    text
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// What all libraries have alike, once in a program.
fn shared(text: &mut String) {
    let traps = (1..).map_while(Trap::from_code);
    let traps =
        traps.map(|trap| (format!("TRAP_{}", capitals(&format!("{trap:?}"))), trap as u32, trap.to_string()));
    let errors = ERRORS.map(|(name, code, words)| (format!("ERROR_{name}"), code, words.to_owned()));
    let all: Vec<(String, u32, String)> = traps.chain(errors).collect();
    add(text, "#ifndef SAMPAN_TRAPS\n#define SAMPAN_TRAPS");
    add(text, "/* Why a call did not return, or why there is no instance. */\ntypedef enum sampan_trap {");
    add(text, "    SAMPAN_OK = 0,");
    for (name, code, words) in &all {
        add(text, &format!("    SAMPAN_{name} = {code}, /* {words} */"));
    }
    add(text, "} sampan_trap;\n");
    add(text, "static inline const char *sampan_trap_message(sampan_trap trap) {\n    switch (trap) {");
    add(text, "    case SAMPAN_OK: return \"no trap\";");
    for (name, _, words) in &all {
        add(text, &format!("    case SAMPAN_{name}: return \"{words}\";"));
    }
    add(text, "    }\n    return \"unknown trap\";\n}\n");
    add(
        text,
        "/* What an instance may use up. 0 stands for what is usual: memories of 4 GiB together, tables of 1048576 elements,\n   \
         256 KiB of the calling thread's stack (8 KiB on machines without an operating system). */\n\
         typedef struct sampan_limits {\n    size_t memory_bytes_max;\n    size_t table_elements_max;\n    \
         size_t stack_bytes_max;\n} sampan_limits;\n#endif\n",
    );
}

/// `MemoryOutOfBounds` as `MEMORY_OUT_OF_BOUNDS`.
fn capitals(name: &str) -> String {
    let mut text = String::new();
    for (index, char) in name.char_indices() {
        if index > 0 && char.is_uppercase() {
            text.push('_');
        }
        text.push(char.to_ascii_uppercase());
    }
    text
}

fn imports(text: &mut String, interface: &Interface<'_>) {
    if interface.imports.is_empty() {
        return;
    }
    let prefix = &interface.prefix;
    add(
        text,
        "/* What the program is given. A function returns SAMPAN_OK once it has set its result, or a trap, which ends the\n   \
         call of the program. It may call the instance. It must not leave by `longjmp` or an exception, or free the\n   \
         instance. What comes from the program is not to be trusted: neither numbers nor what is in its memory. */",
    );
    add(
        text,
        &format!(
            "typedef struct {prefix}_imports {{\n    /* Passed to each function. */\n    void *context;"
        ),
    );
    for import in &interface.imports {
        let unless = match import.denial {
            None => "",
            Some(Denial::None) => ". If null: there are none",
            Some(Denial::Error(0)) => ". If null: nothing is done",
            Some(Denial::Error(_)) => ". If null: it is refused",
            Some(Denial::Trap) => ". If null: a trap",
        };
        let first = format!("void *context, {prefix}_instance *instance");
        let (shown, field, params) = (&import.shown, &import.field, params(&first, import.signature));
        add(text, &format!("    /* {shown}{unless} */\n    sampan_trap (*{field})({params});"));
    }
    add(text, &format!("}} {prefix}_imports;\n"));
    add(
        text,
        &format!(
            "/* The name of the first import that is missing, or null if none is. */\n\
             const char *{prefix}_missing_import(const {prefix}_imports *imports);\n"
        ),
    );
}

/// The parameters of what makes an instance.
pub(super) fn new_params(interface: &Interface<'_>) -> String {
    let prefix = &interface.prefix;
    let imports = match interface.imports.is_empty() {
        true => String::new(),
        false => format!("const {prefix}_imports *imports, "),
    };
    let room = if interface.needs_room { "void *room, size_t room_bytes, " } else { "" };
    format!("{imports}const sampan_limits *limits, {room}{prefix}_instance **instance")
}

fn instances(text: &mut String, interface: &Interface<'_>) {
    let prefix = &interface.prefix;
    add(
        text,
        "/* Makes an instance, and lets the program initialize itself. Limits that are null are the usual ones.",
    );
    match (interface.imports.is_empty(), interface.all_denied()) {
        (true, _) => {}
        (false, true) => add(text, "   The imports are copied; null stands for none."),
        (false, false) => add(text, "   The imports are copied."),
    }
    match interface.needs_room {
        true => add(
            text,
            "   All that the instance has lies in the room, which nobody else uses until it is freed: also its memories, of\n   \
             which each takes the largest size that the program declares or the limits allow.",
        ),
        false => add(
            text,
            "   The first call in a process installs handlers of SIGSEGV, SIGBUS and SIGURG, which pass on what is not theirs\n   \
             to whoever handled it before; whoever installs others later must do the same.",
        ),
    }
    add(text, "   On failure the instance is null. */");
    add(text, &format!("sampan_trap {prefix}_instance_new({});\n", new_params(interface)));
    add(
        text,
        &format!(
            "/* Gives all of it back. An instance whose code still runs is left as it is. */\n\
             void {prefix}_instance_free({prefix}_instance *instance);\n"
        ),
    );
    if !interface.needs_room {
        add(
            text,
            &format!(
                "/* From any thread: ends the call that runs with SAMPAN_TRAP_INTERRUPTED, and all later ones until it is resumed.\n   \
                 True if one still runs: a function that the program was given cannot be ended, so ask again. */\n\
                 bool {prefix}_instance_interrupt({prefix}_instance *instance);\n\
                 void {prefix}_instance_resume({prefix}_instance *instance);\n"
            ),
        );
    }
}

fn exports(text: &mut String, interface: &Interface<'_>) {
    let instance = format!("{}_instance *instance", interface.prefix);
    for memory in &interface.memories {
        let [base, size, read, write] = &memory.name;
        let at = index_type(memory.index);
        let shown = &memory.shown;
        let lines = [
            &format!(
                "/* The memory \"{shown}\": where it begins, which never changes; how many bytes it has, which can grow"
            ),
            "   whenever the program runs; and copies from and to it, which are false if it does not have all of the bytes. */",
            &format!("uint8_t *{base}({instance});"),
            &format!("size_t {size}({instance});"),
            &format!("bool {read}({instance}, {at} at, void *to, size_t bytes);"),
            &format!("bool {write}({instance}, {at} at, const void *from, size_t bytes);\n"),
        ];
        lines.iter().for_each(|line| add(text, line));
    }
    for global in &interface.globals {
        let ty = c_type(global.content).expect("only such globals are written");
        let (shown, get) = (&global.shown, &global.get);
        writeln!(text, "/* The global \"{shown}\" */\n{ty} {get}({instance});").expect("a string takes all");
        if let Some(set) = &global.set {
            writeln!(text, "void {set}({instance}, {ty} value);").expect("a string takes all");
        }
        text.push('\n');
    }
    if interface.functions.iter().any(|function| !function.signature.results.is_empty()) {
        add(
            text,
            "/* The functions. Where a result goes may be null; it is not set when the call traps. */\n",
        );
    }
    for function in &interface.functions {
        let (shown, name, params) = (&function.shown, &function.name, params(&instance, function.signature));
        add(text, &format!("/* {shown} */\nsampan_trap {name}({params});\n"));
    }
    for what in &interface.left_out {
        add(text, &format!("/* Not for C: {what} */\n"));
    }
}

/// What C calls an address of a memory.
pub(super) fn index_type(index: Type) -> &'static str {
    if index == Type::I64 { "uint64_t" } else { "uint32_t" }
}
