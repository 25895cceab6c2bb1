//! The code of an access under each policy: one policy, one file, each with the same function. `rt::bounds` has the
//! other half, the room around a memory.

mod checked;
mod guarded;
mod masked;
mod unchecked;

use crate::emit::{Emitter, Value};
use crate::module::{Memory, Type};
use crate::{Precision, Target};
use rt::Policy;
use rt::abi::MemoryType;

/// The policy that a memory has where `wanted` is asked for: pages stand guard only where there are any, only around
/// what 32 bits can reach, and only at the end of a page. A memory that is lent has no room for what 64 bits reach.
pub(crate) fn policy(target: &Target, wanted: Policy, memory: &Memory) -> Policy {
    if memory.is_lent && memory.index == Type::I64 {
        return Policy::Checked;
    }
    let can_be_guarded = target.has_pages && memory.index == Type::I32 && memory.page_bytes_log2 == 16;
    if wanted == Policy::Guarded && !can_be_guarded { Policy::Checked } else { wanted }
}

/// The memory as its instance's runtime sees it.
pub(crate) fn memory_type(target: &Target, wanted: Policy, memory: &Memory) -> MemoryType {
    MemoryType {
        pages_min: memory.pages_min as usize,
        pages_max: memory.pages_max as usize,
        page_bytes_log2: memory.page_bytes_log2 as usize,
        index_bits: if memory.index == Type::I64 { 64 } else { 32 },
        policy: policy(target, wanted, memory),
    }
}

/// An access of `bytes` at `index` and `offset`.
pub(crate) struct Access<'a> {
    pub(crate) memory: u32,
    pub(crate) index: &'a Value,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The address of an access, as a pointer that may be used if the code after it is reached.
pub(crate) fn address(emitter: &mut Emitter<'_, '_>, access: &Access<'_>) -> Value {
    match policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(access.memory)) {
        Policy::Guarded => guarded::address(emitter, access),
        Policy::Checked => checked::address(emitter, access),
        Policy::Masked => masked::address(emitter, access),
        Policy::Unchecked => unchecked::address(emitter, access),
    }
}

/// So many bytes of a memory, from its start, can be reached without any check; it does not become less.
pub(crate) fn room(emitter: &mut Emitter<'_, '_>, memory: u32) -> Value {
    match policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(memory)) {
        Policy::Guarded => guarded::room(emitter, memory),
        Policy::Checked => checked::room(emitter, memory),
        Policy::Masked => masked::room(emitter, memory),
        Policy::Unchecked => unchecked::room(emitter, memory),
    }
}

/// An index that is less than the room, also where a processor guesses that it is and is wrong. Behind what pages guard there
/// is nothing to read.
pub(crate) fn inside(emitter: &mut Emitter<'_, '_>, memory: u32, index: &Value) -> Value {
    match policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(memory)) {
        Policy::Checked => checked::inside(emitter, memory, index),
        Policy::Masked => masked::inside(emitter, memory, index),
        Policy::Guarded | Policy::Unchecked => index.clone(),
    }
}

/// Whether an access of the memory has code that keeps it inside.
pub(crate) fn has_code(emitter: &Emitter<'_, '_>, memory: u32) -> bool {
    matches!(
        policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(memory)),
        Policy::Checked | Policy::Masked
    )
}

/// Whether indices of the memory are compared with its length.
pub(crate) fn is_compared(emitter: &Emitter<'_, '_>, memory: u32) -> bool {
    policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(memory)) == Policy::Checked
}

/// Whether an access of the memory may fault, so that its place among other effects matters.
pub(crate) fn is_volatile(emitter: &Emitter<'_, '_>, memory: u32) -> bool {
    let policy = policy(&emitter.options.target, emitter.options.policy, emitter.memory_of(memory));
    emitter.options.precision == Precision::Precise && policy == Policy::Guarded
}

/// An index as a number of 64 bits.
fn wide(emitter: &mut Emitter<'_, '_>, index: &Value) -> Value {
    match index.ty {
        Type::I32 => emitter.value(Type::I64, format_args!("zext i32 {index} to i64")),
        _ => index.clone(),
    }
}
