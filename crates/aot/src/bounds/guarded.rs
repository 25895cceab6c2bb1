//! `guarded`: no code at all, since all that can be reached is reserved.

use super::{Access, wide};
use crate::emit::{Emitter, Value};

pub(super) fn address(emitter: &mut Emitter<'_, '_>, access: &Access<'_>) -> Value {
    let base = emitter.memory_base(access.memory);
    let index = wide(emitter, access.index);
    // Index and offset stay inside the reservation, so that neither addition leaves it.
    let at = emitter.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {index}"));
    match access.offset {
        0 => at,
        offset => emitter.pointer(format_args!("getelementptr inbounds i8, ptr {at}, i64 {offset}")),
    }
}

pub(super) fn room(emitter: &mut Emitter<'_, '_>, memory: u32) -> Value {
    emitter.memory_bytes(memory)
}
