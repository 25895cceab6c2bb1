//! Values of WebAssembly, and how they lie in slots.

use std::ffi::c_void;
use std::ptr;

use super::item::Func;
use super::store::Store;

/// A value of WebAssembly. Numbers with a point are given by their bits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as in the specification")]
pub enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
    FuncRef(Option<Func>),
    /// What it refers to is known to the host by a number, which is not the largest.
    ExternRef(Option<usize>),
}

impl Value {
    /// The letter of its type in [`rt::abi::FunctionType::signature`].
    pub(super) const fn letter(&self) -> u8 {
        match self {
            Self::I32(_) => b'i',
            Self::I64(_) => b'I',
            Self::F32(_) => b'f',
            Self::F64(_) => b'F',
            Self::V128(_) => b'v',
            Self::FuncRef(_) => b'r',
            Self::ExternRef(_) => b'x',
        }
    }

    /// As two slots, of which all but vectors use the first.
    pub(super) fn to_slots(self) -> [u64; 2] {
        match self {
            Self::I32(value) => [value as u32 as u64, 0],
            Self::I64(value) => [value as u64, 0],
            Self::F32(bits) => [bits.into(), 0],
            Self::F64(bits) => [bits, 0],
            Self::V128(bits) => [bits as u64, (bits >> 64) as u64],
            Self::FuncRef(_) | Self::ExternRef(_) => [self.to_pointer() as u64, 0],
        }
    }

    /// A reference as native code has it.
    pub(super) fn to_pointer(self) -> *mut c_void {
        match self {
            Self::FuncRef(Some(function)) => function.record.cast(),
            Self::ExternRef(Some(number)) => (number + 1) as *mut c_void,
            _ => ptr::null_mut(),
        }
    }

    /// From slots, as the value of a type.
    ///
    /// # Safety
    /// A reference to a function is one of the store.
    pub(super) unsafe fn from_slots(store: &Store, letter: u8, slots: [u64; 2]) -> Self {
        match letter {
            b'i' => Self::I32(slots[0] as i32),
            b'I' => Self::I64(slots[0] as i64),
            b'f' => Self::F32(slots[0] as u32),
            b'F' => Self::F64(slots[0]),
            b'v' => Self::V128(u128::from(slots[1]) << 64 | u128::from(slots[0])),
            // SAFETY: the caller promises it.
            _ => unsafe { Self::from_pointer(store, letter, slots[0] as *mut c_void) },
        }
    }

    /// From a reference as native code has it.
    ///
    /// # Safety
    /// A reference to a function is one of the store.
    pub(super) unsafe fn from_pointer(store: &Store, letter: u8, pointer: *mut c_void) -> Self {
        match letter {
            b'r' if pointer.is_null() => Self::FuncRef(None),
            b'r' => Self::FuncRef(Some(Func::new(store, pointer.cast()))),
            _ => Self::ExternRef((pointer as usize).checked_sub(1)),
        }
    }
}
