//! Between the convention of native code and slots in memory: into it (`enter`), out of it (`leave`), and what an
//! instance begins with.

use super::call::{RESULTS_MAX, function_name, params, result_type};
use super::{Emitter, Value};
use crate::assembly::Options;
use crate::module::{Module, Signature, Type};
use rt::Layout;
use rt::abi::{Builtin, HEADER_WORDS};

/// The name of what calls code of a type with slots.
pub(crate) fn enter_name(name: &str, signature: usize) -> String {
    format!("@{name}.enter{signature}")
}

/// The name of the code that calls a function of the host.
pub(crate) fn leave_name(name: &str, signature: usize) -> String {
    format!("@{name}.leave{signature}")
}

/// Calls code with arguments from slots, and leaves its results there.
pub(crate) fn enter(
    module: &Module<'_>,
    options: &Options,
    layout: &Layout,
    name: &str,
    index: usize,
) -> String {
    let signature = &module.signatures[index];
    let mut emitter = Emitter::new(module, options, layout, name);
    let args = emitter.load_slots("%slots", &signature.params);
    let mut list = "ptr %instance".to_owned();
    if signature.results.len() > RESULTS_MAX {
        list.push_str(", ptr %slots");
    }
    args.iter().for_each(|arg| list.push_str(&format!(", {}", arg.typed())));
    let (convention, result) = (options.target.convention, result_type(signature));
    let call = format!("call {convention} {result} %code({list})");
    match &signature.results[..] {
        [one] => {
            let value = emitter.value(*one, format_args!("{call}"));
            emitter.store_slots("%slots", &[value]);
        }
        [first, second] => {
            let pair = emitter.pointer(format_args!("{call}"));
            let values = [(0, first), (1, second)]
                .map(|(index, ty)| emitter.value(*ty, format_args!("extractvalue {result} {pair}, {index}")));
            emitter.store_slots("%slots", &values);
        }
        _ => emitter.line(format_args!("{call}")),
    }
    emitter.line(format_args!("ret void"));
    let name = enter_name(name, index);
    emitter.finish(&format!("define internal void {name}(ptr %code, ptr %instance, ptr %slots) #0"))
}

/// Calls a function of the host, in place of code of a type.
pub(crate) fn leave(
    module: &Module<'_>,
    options: &Options,
    layout: &Layout,
    name: &str,
    index: usize,
) -> String {
    let signature = &module.signatures[index];
    let mut emitter = Emitter::new(module, options, layout, name);
    let slots = emitter.alloca(&format!("[{} x i64]", signature.slots().max(1)));
    let args: Vec<Value> = signature
        .params
        .iter()
        .enumerate()
        .map(|(index, ty)| Value::new(*ty, &format!("%p{index}")))
        .collect();
    emitter.store_slots(slots.text(), &args);
    // The host needs more of the stack than a frame of native code does.
    emitter.is_leaf = false;
    let call = emitter.field(HEADER_WORDS * options.target.pointer_bytes);
    let call = emitter.pointer(format_args!("load ptr, ptr {call}"));
    let code = emitter.value(Type::I32, format_args!("call i32 {call}(ptr %instance, ptr {slots})"));
    emitter.trap_if_code(&code);
    let results = emitter.load_slots(slots.text(), &signature.results);
    emitter.give_back(results);
    let (convention, result) = (options.target.convention, result_type(signature));
    let (name, params) = (leave_name(name, index), params(signature, "%instance"));
    emitter.finish(&format!("define internal {convention} {result} {name}({params}) #0"))
}

/// The name of what an instance begins with.
pub(crate) fn initialize_name(name: &str) -> String {
    format!("@{name}.initialize")
}

/// Gives globals their values, writes the active segments, calls the start function.
pub(crate) fn initialize(
    module: &Module<'_>,
    options: &Options,
    layout: &Layout,
    name: &str,
) -> wasmparser::Result<String> {
    let mut emitter = Emitter::new(module, options, layout, name);
    for (index, global) in module.globals.iter().enumerate() {
        if let Some(initial) = &global.initial {
            let value = emitter.constant(initial)?;
            emitter.set_global(index as u32, &value);
        }
    }
    for (index, table) in module.tables.iter().enumerate() {
        if let Some(initial) = &table.initial {
            let value = emitter.constant(initial)?;
            let args = format!("i32 {index}, i64 0, ptr {value}, i64 {}", table.len_min);
            let code = emitter.builtin(Type::I32, Builtin::TableFill, &args);
            emitter.trap_if_code(&code);
        }
    }
    for (index, segment) in module.elements.iter().enumerate() {
        if let Some((table, offset)) = &segment.active {
            let to = emitter.constant(offset)?;
            let count = Value::i32(segment.items.len() as i32);
            emitter.table_init(*table, index as u32, &to, &Value::i32(0), &count);
        }
        if segment.active.is_some() || segment.declared {
            emitter.drop_segment(layout.element_length(index));
        }
    }
    for (index, segment) in module.data.iter().enumerate() {
        if let Some((memory, offset)) = &segment.active {
            let to = emitter.constant(offset)?;
            let count = Value::i32(segment.items.len() as i32);
            emitter.memory_init(*memory, index as u32, &to, &Value::i32(0), &count);
            emitter.drop_segment(layout.data_length(index));
        }
    }
    if let Some(start) = module.start {
        emitter.call_direct(start, false);
    }
    emitter.line(format_args!("ret void"));
    let name = initialize_name(name);
    Ok(emitter.finish(&format!("define internal void {name}(ptr %code, ptr %instance, ptr %slots) #0")))
}

/// The names of all code that calls the host: of the types that imported functions have.
pub(crate) fn left_by(module: &Module<'_>) -> Vec<usize> {
    let mut types = module.functions[..module.functions_imported].to_vec();
    types.sort_unstable();
    types.dedup();
    types
}

/// The code of a function's record: null if it is imported.
pub(crate) fn record_code(module: &Module<'_>, name: &str, function: u32) -> String {
    match module.is_imported(function) {
        true => "null".to_owned(),
        false => function_name(name, function),
    }
}

/// The types that need code to be entered: those of functions that have a record.
pub(crate) fn entered_by(module: &Module<'_>) -> Vec<usize> {
    let mut types: Vec<usize> =
        module.recorded.iter().map(|function| module.functions[*function as usize]).collect();
    types.sort_unstable();
    types.dedup();
    types
}

/// So that the descriptor and the code agree on what a signature is.
pub(crate) fn letters(signature: &Signature) -> Vec<u8> {
    let params = signature.params.iter().map(|ty| ty.letter());
    params.chain([b':']).chain(signature.results.iter().map(|ty| ty.letter())).collect()
}
