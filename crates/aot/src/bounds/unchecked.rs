//! `unchecked`: the program is believed.

use super::{Access, wide};
use crate::emit::{Emitter, Value};

pub(super) fn address(emitter: &mut Emitter<'_, '_>, access: &Access<'_>) -> Value {
    let base = emitter.memory_base(access.memory);
    let index = wide(emitter, access.index);
    let at = emitter.pointer(format_args!("getelementptr i8, ptr {base}, i64 {index}"));
    match access.offset {
        0 => at,
        offset => emitter.pointer(format_args!("getelementptr i8, ptr {at}, i64 {}", offset as i64)),
    }
}

/// An index must not wrap, that is all.
pub(super) fn room(_: &mut Emitter<'_, '_>, _: u32) -> Value {
    Value::i64(1 << 32)
}
