//! `checked`: the index is compared with the last one that leaves room, which does not change in a loop.

use super::{Access, wide};
use crate::emit::{Emitter, Value};
use crate::module::Type;
use rt::Trap;

pub(super) fn address(emitter: &mut Emitter<'_, '_>, access: &Access<'_>) -> Value {
    if let Some(index) = emitter.reached(access) {
        return behind_index(emitter, access, &index);
    }
    let index = wide(emitter, access.index);
    let bytes = emitter.memory_bytes(access.memory);
    let memory = emitter.memory_of(access.memory);
    let bytes_min = memory.pages_min.checked_shl(memory.page_bytes_log2).unwrap_or(u64::MAX);
    // What lies behind the index, as far as the access reaches.
    let Some(behind) = access.offset.checked_add(access.bytes) else {
        emitter.trap(Trap::MemoryOutOfBounds);
        return Value::new(Type::Extern, "null");
    };
    if behind > bytes_min {
        let none = emitter.bit(format_args!("icmp ult i64 {bytes}, {behind}"));
        emitter.trap_if(&none, Trap::MemoryOutOfBounds);
    }
    let limit = emitter.value(Type::I64, format_args!("sub nsw i64 {bytes}, {}", behind - 1));
    let outside = emitter.bit(format_args!("icmp uge i64 {index}, {limit}"));
    emitter.trap_if(&outside, Trap::MemoryOutOfBounds);
    let base = emitter.memory_base(access.memory);
    if behind > bytes_min {
        // The offset alone may lead outside.
        let at = emitter.value(Type::I64, format_args!("add i64 {index}, {}", access.offset as i64));
        let at = emitter.harmless(&at, &bytes);
        return emitter.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {at}"));
    }
    let index = emitter.harmless(&index, &limit);
    emitter.note_reached(access, &index);
    behind_index(emitter, access, &index)
}

/// Where an access is whose index and offset are inside.
fn behind_index(emitter: &mut Emitter<'_, '_>, access: &Access<'_>, index: &Value) -> Value {
    let base = emitter.memory_base(access.memory);
    let at = emitter.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {index}"));
    match access.offset {
        0 => at,
        offset => emitter.pointer(format_args!("getelementptr inbounds i8, ptr {at}, i64 {offset}")),
    }
}

pub(super) fn room(emitter: &mut Emitter<'_, '_>, memory: u32) -> Value {
    emitter.memory_bytes(memory)
}

pub(super) fn inside(emitter: &mut Emitter<'_, '_>, memory: u32, index: &Value) -> Value {
    let bytes = emitter.memory_bytes(memory);
    emitter.harmless(index, &bytes)
}
