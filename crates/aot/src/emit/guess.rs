//! What a processor guesses: it may go on past a check before it knows how that ends, with an index that fails it.

use super::{Emitter, Value};
use crate::module::Type;

impl Emitter<'_, '_> {
    /// An index in 64 bits that was checked to be less than `limit`; where it is not, which only a guess can lead to, 0. No
    /// branch chooses: what is read depends on the comparison. It is written so that LLVM, which knows of the check, cannot
    /// know what it comes to.
    pub(crate) fn harmless(&mut self, index: &Value, limit: &Value) -> Value {
        let target = &self.options.target;
        if !target.has_pages {
            // What lies behind a memory is the same program's.
            return index.clone();
        }
        if let Some(choose) = target.choose {
            let choose = format!("asm \"{choose}\", \"=r,0,r,r,~{{flags}}\"");
            let args = format!("i64 {index}, i64 {limit}, i64 0");
            return self.value(Type::I64, format_args!("call i64 {choose}({args}) memory(none) nounwind"));
        }
        // Less than the limit, which is less than 2^63, is what has no sign itself, and has one less the limit.
        let below = self.value(Type::I64, format_args!("sub i64 {index}, {limit}"));
        let is_small = self.value(Type::I64, format_args!("xor i64 {index}, -1"));
        let below = self.value(Type::I64, format_args!("and i64 {below}, {is_small}"));
        let mask = self.value(Type::I64, format_args!("ashr i64 {below}, 63"));
        let mask = format!("call i64 asm \"\", \"=r,0\"(i64 {mask}) memory(none) nounwind");
        let mask = self.value(Type::I64, format_args!("{mask}"));
        self.value(Type::I64, format_args!("and i64 {index}, {mask}"))
    }
}
