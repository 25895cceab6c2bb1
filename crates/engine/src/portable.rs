//! Profile `portable`: reach. The Pulley interpreter; no machine code is made, no page is made executable.

use wasmtime::Config;

use crate::limits::GROWTH_RESERVED_BYTES;

/// Bytecode for Pulley, with the pointer width of this machine.
///
/// # Errors
/// When Wasmtime does not know the target; it knows all that are named here.
pub(crate) fn code(config: &mut Config) -> wasmtime::Result<()> {
    config.target(if cfg!(target_pointer_width = "64") { "pulley64" } else { "pulley32" })?;

    // An interpreter gains nothing from guard pages, and works where there are no signals: it compares.
    config
        .signals_based_traps(false)
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(GROWTH_RESERVED_BYTES);
    Ok(())
}
