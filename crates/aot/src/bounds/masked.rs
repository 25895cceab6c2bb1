//! `masked`: addresses wrap at the power of two that is reserved, but for a page behind it that nobody may touch.

use super::{Access, memory_type, wide};
use crate::emit::{Emitter, Value};
use crate::module::Type;

pub(super) fn address(emitter: &mut Emitter<'_, '_>, access: &Access<'_>) -> Value {
    let mask = mask(emitter, access.memory);
    let index = wide(emitter, access.index);
    // An offset that leads no further than to what is reserved behind the mask need not be masked: then it is part of an
    // instruction, and what is done to the index serves all accesses that have it.
    let of = emitter.memory_of(access.memory);
    let is_near = access.offset.saturating_add(access.bytes) <= rt::bounds::BEHIND_MASK_BYTES
        && emitter.options.target.has_pages
        && of.page_bytes_log2 == 16;
    let is_inside = is_near || of.is_lent;
    let (masked, behind) = if is_inside { (0, access.offset) } else { (access.offset, 0) };
    let sum = match masked {
        0 => index,
        offset => emitter.value(Type::I64, format_args!("add i64 {index}, {}", offset as i64)),
    };
    let at = emitter.value(Type::I64, format_args!("and i64 {sum}, {mask}"));
    let base = emitter.memory_base(access.memory);
    let at = emitter.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {at}"));
    match behind {
        0 => at,
        offset => emitter.pointer(format_args!("getelementptr inbounds i8, ptr {at}, i64 {offset}")),
    }
}

/// Up to the mask, it does nothing.
pub(super) fn room(emitter: &mut Emitter<'_, '_>, memory: u32) -> Value {
    let mask = mask(emitter, memory);
    emitter.value(Type::I64, format_args!("add nuw i64 {mask}, 1"))
}

pub(super) fn inside(emitter: &mut Emitter<'_, '_>, memory: u32, index: &Value) -> Value {
    let mask = mask(emitter, memory);
    emitter.value(Type::I64, format_args!("and i64 {index}, {mask}"))
}

fn mask(emitter: &mut Emitter<'_, '_>, memory: u32) -> Value {
    match emitter.is_memory_imported(memory) && !emitter.memory_of(memory).is_lent {
        // Its own type may allow less than the memory has.
        true => emitter.memory_mask(memory),
        false => {
            let of = memory_type(&emitter.options.target, rt::Policy::Masked, emitter.memory_of(memory));
            let mask = rt::bounds::mask(&of).expect("a masked memory has a mask");
            Value::new(Type::I64, &mask.to_string())
        }
    }
}
