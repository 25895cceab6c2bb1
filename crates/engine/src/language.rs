//! What every profile shares: the WebAssembly that is understood, the stack, and determinism.

use wasmtime::{Config, WasmBacktraceDetails};

use crate::Settings;
use crate::limits::HOST_STACK_BYTES;
use crate::options::Interrupt;

/// Writes into `config` what does not depend on the profile.
pub(crate) fn configure(config: &mut Config, settings: &Settings) {
    let Settings { options, limits, concurrent, .. } = settings;
    let anywhere = settings.has_signals();
    // Every finished proposal that this Wasmtime has, but those that a signal cannot interrupt. What is not named here is
    // on by itself.
    config
        .wasm_gc(!anywhere)
        .gc_support(!anywhere)
        .wasm_exceptions(!anywhere)
        .wasm_tail_call(!anywhere)
        .wasm_function_references(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_extended_const(true)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(true)
        .wasm_component_model(true)
        .wasm_component_model_async(*concurrent)
        .concurrency_support(*concurrent);

    // One answer for every NaN and every relaxed instruction, at some cost in floating-point code.
    config
        .relaxed_simd_deterministic(options.deterministic)
        .cranelift_nan_canonicalization(options.deterministic);

    // The check is compiled in, and paid for, only where somebody asked for it.
    config.consume_fuel(limits.fuel_max.is_some() || options.interrupt == Interrupt::Fuel);

    // Host functions run on the guest's fiber, above the guest's own part of the stack.
    config.max_wasm_stack(limits.stack_bytes_max).async_stack_size(limits.stack_bytes_max + HOST_STACK_BYTES);

    // Source lines in traps cost nothing until there is one.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);

    // A data segment becomes a copy-on-write mapping instead of a copy.
    config.memory_init_cow(true);
}
