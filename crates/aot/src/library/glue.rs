//! The code between C and slots, as C: clang knows how each target passes arguments.

use super::header::{index_type, new_params};
use super::{Denial, Function, Global, Import, Interface, Memory, c_type, params, result};
use crate::module::{Signature, Type};

/// What the code of all libraries has alike: the runtime, whose names are this library's own, and numbers with a point as
/// bits. The header comes before it.
const RUNTIME: &str = "\
typedef uint32_t function(INSTANCE *, uint64_t *);
struct given {
    function *const *functions;
    size_t functions_len;
    const void *imports;
    size_t imports_bytes;
    const sampan_limits *limits;
    void *room;
    size_t room_bytes;
};
uint32_t RUNTIME(new)(const void *module, const struct given *given, INSTANCE **made);
void RUNTIME(free)(INSTANCE *instance);
uint32_t RUNTIME(call)(INSTANCE *instance, size_t export, uint64_t *slots);
const void *RUNTIME(imports)(INSTANCE *instance);
uint8_t *RUNTIME(memory)(INSTANCE *instance, size_t export, size_t *bytes);
void *RUNTIME(global)(INSTANCE *instance, size_t export);
bool RUNTIME(interrupt)(INSTANCE *instance);
void RUNTIME(resume)(INSTANCE *instance);

static inline uint64_t from_i32(int32_t value) { return (uint32_t)value; }
static inline uint64_t from_i64(int64_t value) { return (uint64_t)value; }
static inline uint64_t from_f32(float value) { uint32_t bits; __builtin_memcpy(&bits, &value, 4); return bits; }
static inline uint64_t from_f64(double value) { uint64_t bits; __builtin_memcpy(&bits, &value, 8); return bits; }
static inline int32_t to_i32(uint64_t slot) { return (int32_t)(uint32_t)slot; }
static inline int64_t to_i64(uint64_t slot) { return (int64_t)slot; }
static inline float to_f32(uint64_t slot) { uint32_t bits = (uint32_t)slot; float value; __builtin_memcpy(&value, &bits, 4); return value; }
static inline double to_f64(uint64_t slot) { double value; __builtin_memcpy(&value, &slot, 8); return value; }
";

pub(super) fn glue(interface: &Interface<'_>, header: &str) -> String {
    let (prefix, unique) = (&interface.prefix, interface.unique);
    let mut text = format!(
        "#pragma GCC visibility push(default)\n{header}#pragma GCC visibility pop\n\
         #define INSTANCE {prefix}_instance\n#define RUNTIME(name) sampan_{unique:016x}_##name\n\
         extern const char sampan_module_of_{unique:016x}[];\n{RUNTIME}\n"
    );
    for (index, import) in interface.imports.iter().enumerate() {
        text.push_str(&imported(interface, index, import));
    }
    text.push_str(&missing_import(interface));
    text.push_str(&instances(interface));
    interface.memories.iter().for_each(|of| text.push_str(&memory(of)));
    interface.globals.iter().for_each(|of| text.push_str(&global(of)));
    interface.functions.iter().for_each(|of| text.push_str(&exported(of)));
    text
}

/// The end of the names that go between a type and a slot.
fn ending(ty: Type) -> &'static str {
    match ty {
        Type::I64 => "i64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        _ => "i32",
    }
}

fn slots(signature: &Signature) -> usize {
    signature.params.len().max(signature.results.len()).max(1)
}

/// Calls what the product gave, or denies it.
fn imported(interface: &Interface<'_>, index: usize, import: &Import<'_>) -> String {
    let (prefix, field, signature) = (&interface.prefix, &import.field, import.signature);
    let mut text = format!(
        "static uint32_t import{index}(INSTANCE *instance, uint64_t *slots) {{\n    \
         const {prefix}_imports *imports = RUNTIME(imports)(instance);\n    (void)slots;\n"
    );
    if let Some(denial) = import.denial {
        text.push_str(&format!("    if (!imports->{field}) {{\n{}    }}\n", denied(interface, denial)));
    }
    let mut args = "imports->context, instance".to_owned();
    for (index, ty) in signature.params.iter().enumerate() {
        args.push_str(&format!(", to_{}(slots[{index}])", ending(*ty)));
    }
    for (index, ty) in signature.results.iter().enumerate() {
        let (ty, name) = (c_type(*ty).expect("only such functions are written"), result(index));
        text.push_str(&format!("    {ty} {name} = 0;\n"));
        args.push_str(&format!(", &{name}"));
    }
    text.push_str(&format!("    sampan_trap trap = imports->{field}({args});\n"));
    text.push_str("    if (trap != SAMPAN_OK) return (uint32_t)trap;\n");
    for (index, ty) in signature.results.iter().enumerate() {
        text.push_str(&format!("    slots[{index}] = from_{}({});\n", ending(*ty), result(index)));
    }
    text.push_str("    return 0;\n}\n\n");
    text
}

fn denied(interface: &Interface<'_>, denial: Denial) -> String {
    match (denial, interface.memory) {
        (Denial::Trap, _) => "        return SAMPAN_TRAP_HOST;\n".to_owned(),
        (Denial::Error(code), _) => format!("        slots[0] = {code};\n        return 0;\n"),
        (Denial::None, None) => "        slots[0] = 52;\n        return 0;\n".to_owned(),
        (Denial::None, Some(memory)) => format!(
            "        size_t bytes;\n        uint8_t *memory = RUNTIME(memory)(instance, {memory}, &bytes);\n        \
             for (int index = 0; index < 2; index++) {{\n            uint32_t at = (uint32_t)slots[index];\n            \
             if (bytes < 4 || at > bytes - 4) return SAMPAN_TRAP_MEMORY_OUT_OF_BOUNDS;\n            \
             __builtin_memset(memory + at, 0, 4);\n        }}\n        slots[0] = 0;\n        return 0;\n"
        ),
    }
}

fn missing_import(interface: &Interface<'_>) -> String {
    if interface.imports.is_empty() {
        return String::new();
    }
    let prefix = &interface.prefix;
    let mut text = format!(
        "const char *{prefix}_missing_import(const {prefix}_imports *imports) {{\n    (void)imports;\n"
    );
    for import in interface.imports.iter().filter(|import| import.denial.is_none()) {
        let (field, shown) = (&import.field, &import.shown);
        text.push_str(&format!("    if (!imports || !imports->{field}) return \"{shown}\";\n"));
    }
    text.push_str("    return 0;\n}\n\n");
    text
}

fn instances(interface: &Interface<'_>) -> String {
    let (prefix, unique, count) = (&interface.prefix, interface.unique, interface.imports.len());
    let mut text =
        format!("sampan_trap {prefix}_instance_new({}) {{\n    *instance = 0;\n", new_params(interface));
    let mut given = "0, 0, 0, 0".to_owned();
    if count > 0 {
        let functions: Vec<String> = (0..count).map(|index| format!("import{index}")).collect();
        text.push_str(&format!(
            "    static const {prefix}_imports none;\n    \
             static function *const functions[] = {{{}}};\n    \
             if ({prefix}_missing_import(imports)) return SAMPAN_ERROR_IMPORT;\n    if (!imports) imports = &none;\n",
            functions.join(", ")
        ));
        given = format!("functions, {count}, imports, sizeof *imports");
    }
    let room = if interface.needs_room { "room, room_bytes" } else { "0, 0" };
    text.push_str(&format!(
        "    const struct given given = {{{given}, limits, {room}}};\n    \
         uint32_t trap = RUNTIME(new)(sampan_module_of_{unique:016x}, &given, instance);\n"
    ));
    if let Some(number) = interface.initialize {
        text.push_str(&format!(
            "    uint64_t slots[1];\n    if (!trap) trap = RUNTIME(call)(*instance, {number}, slots);\n    \
             if (trap) {{\n        RUNTIME(free)(*instance);\n        *instance = 0;\n    }}\n"
        ));
    }
    text.push_str(&format!(
        "    return (sampan_trap)trap;\n}}\n\n\
         void {prefix}_instance_free(INSTANCE *instance) {{ RUNTIME(free)(instance); }}\n\n"
    ));
    if !interface.needs_room {
        text.push_str(&format!(
            "bool {prefix}_instance_interrupt(INSTANCE *instance) {{ return RUNTIME(interrupt)(instance); }}\n\
             void {prefix}_instance_resume(INSTANCE *instance) {{ RUNTIME(resume)(instance); }}\n\n"
        ));
    }
    text
}

fn memory(of: &Memory) -> String {
    let ([base, size, read, write], number, at) = (&of.name, of.number, index_type(of.index));
    let copy = |name: &str, other: &str, from_to: &str| {
        format!(
            "bool {name}(INSTANCE *instance, {at} at, {other}, size_t bytes) {{\n    size_t size;\n    \
             uint8_t *memory = RUNTIME(memory)(instance, {number}, &size);\n    \
             if (at > size || bytes > size - at) return false;\n    \
             if (bytes > 0) __builtin_memcpy({from_to}, bytes);\n    return true;\n}}\n"
        )
    };
    format!(
        "uint8_t *{base}(INSTANCE *instance) {{ size_t size; return RUNTIME(memory)(instance, {number}, &size); }}\n\
         size_t {size}(INSTANCE *instance) {{ size_t size; RUNTIME(memory)(instance, {number}, &size); return size; }}\n\
         {}{}\n",
        copy(read, "void *to", "to, memory + at"),
        copy(write, "const void *from", "memory + at, from"),
    )
}

fn global(of: &Global) -> String {
    let (get, number, ty) = (&of.get, of.number, c_type(of.content).expect("only such globals are written"));
    let mut text = format!(
        "{ty} {get}(INSTANCE *instance) {{ return *({ty} *)RUNTIME(global)(instance, {number}); }}\n"
    );
    if let Some(set) = &of.set {
        text.push_str(&format!(
            "void {set}(INSTANCE *instance, {ty} value) {{ *({ty} *)RUNTIME(global)(instance, {number}) = value; }}\n"
        ));
    }
    text
}

fn exported(of: &Function<'_>) -> String {
    let (name, number, signature) = (&of.name, of.number, of.signature);
    let slots = slots(signature);
    let mut text = format!(
        "sampan_trap {name}({}) {{\n    uint64_t slots[{slots}];\n",
        params("INSTANCE *instance", signature)
    );
    for (index, ty) in signature.params.iter().enumerate() {
        text.push_str(&format!("    slots[{index}] = from_{}(p{index});\n", ending(*ty)));
    }
    text.push_str(&format!("    uint32_t trap = RUNTIME(call)(instance, {number}, slots);\n"));
    for (index, ty) in signature.results.iter().enumerate() {
        let name = result(index);
        text.push_str(&format!("    if (!trap && {name}) *{name} = to_{}(slots[{index}]);\n", ending(*ty)));
    }
    text.push_str("    return (sampan_trap)trap;\n}\n\n");
    text
}
