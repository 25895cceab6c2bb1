//! What native code knows of the language, and the names of what it does not.

use crate::{Error, Target};
use wasmparser::{Validator, WasmFeatures};

/// WebAssembly 2.0, and of 3.0 what needs no collector and no unwinding; tail calls where LLVM has them.
fn known(target: &Target) -> WasmFeatures {
    let everywhere = WasmFeatures::WASM2
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::CUSTOM_PAGE_SIZES;
    if target.has_tail_calls() { everywhere | WasmFeatures::TAIL_CALL } else { everywhere }
}

/// Proposals that a module may be refused for, those that others build on first.
const REFUSED: [(&str, WasmFeatures); 9] = [
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("threads", WasmFeatures::THREADS),
    ("exception-handling", WasmFeatures::EXCEPTIONS),
    ("exception-handling (legacy)", WasmFeatures::LEGACY_EXCEPTIONS),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
    ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("stack-switching", WasmFeatures::STACK_SWITCHING),
    ("shared-everything-threads", WasmFeatures::SHARED_EVERYTHING_THREADS),
];

/// Validates a module.
pub(crate) fn validate(wasm: &[u8], target: &Target) -> Result<(), Error> {
    let valid_with = |features| Validator::new_with_features(features).validate_all(wasm);
    let Err(error) = valid_with(known(target)) else { return Ok(()) };
    let mut features = known(target);
    for (name, feature) in REFUSED {
        // Later proposals build on earlier ones, so that each is tried together with those before it.
        features |= feature;
        if valid_with(features).is_ok() {
            return Err(Error::Proposal(name));
        }
    }
    Err(Error::Invalid(error))
}
