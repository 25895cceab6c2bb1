//! Operands as LLVM writes them.

use std::fmt;
use std::rc::Rc;

use crate::module::Type;

/// A register or a constant.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) ty: Type,
    text: Rc<str>,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Value {
    pub(crate) fn new(ty: Type, text: &str) -> Self {
        Self { ty, text: text.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn i32(value: i32) -> Self {
        Self::new(Type::I32, &value.to_string())
    }

    pub(crate) fn i64(value: i64) -> Self {
        Self::new(Type::I64, &value.to_string())
    }

    pub(crate) fn f32(bits: u32) -> Self {
        Self::new(Type::F32, &float(bits))
    }

    pub(crate) fn f64(bits: u64) -> Self {
        Self::new(Type::F64, &double(f64::from_bits(bits)))
    }

    /// What it is, without a sign, if it is a constant whole number.
    pub(crate) fn constant(&self) -> Option<u64> {
        match self.ty {
            Type::I32 => self.text.parse().ok().map(|value: i32| u64::from(value as u32)),
            Type::I64 => self.text.parse().ok().map(|value: i64| value as u64),
            _ => None,
        }
    }

    /// With the type that LLVM knows it by.
    pub(crate) fn typed(&self) -> String {
        format!("{} {self}", self.ty.ir())
    }
}

/// LLVM writes a float as the double that has its value. One that is not a number goes by its bits.
fn float(bits: u32) -> String {
    let value = f32::from_bits(bits);
    match value.is_nan() {
        true => format!("bitcast (i32 {bits} to float)"),
        false => double(value.into()),
    }
}

/// A number that a float or double can have, as LLVM writes it.
pub(crate) fn double(value: f64) -> String {
    format!("0x{:016X}", value.to_bits())
}
