//! Vectors of 128 bits.

use super::Emitter;
use wasmparser::Operator;

impl Emitter<'_, '_> {
    pub(super) fn simd(&mut self, operator: &Operator<'_>) -> bool {
        let _ = operator;
        false
    }
}
