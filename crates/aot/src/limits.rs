//! Every maximum by name.

/// The text of one function. A hostile one of a few kilobytes could become any amount of it: a branch of many targets
/// that each take many values.
pub(crate) const FUNCTION_TEXT_BYTES_MAX: usize = 256 << 20;

/// The text of all modules of an assembly.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 30;

/// A library for C names no more exports, imports, parameters and results: a type of many is cheap to repeat.
pub(crate) const LIBRARY_ITEMS_MAX: usize = 1 << 18;

/// A call through a table that can reach no more functions than this names each of them.
pub(crate) const CALLEES_MAX: usize = 4;

/// A loop of no more operators is written twice.
pub(crate) const COPY_OPERATORS_MAX: usize = 1_000;

/// So many addresses that move on their own are looked at before a copied loop begins.
pub(crate) const COPY_STREAMS_MAX: usize = 12;

/// What moves further in one turn soon leaves any memory.
pub(crate) const COPY_STEP_BYTES_MAX: u64 = 1 << 31;

/// A number that is a sum of more locals is not looked at.
pub(crate) const LINEAR_TERMS_MAX: usize = 4;
