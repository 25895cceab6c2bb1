//! Every maximum by name.

/// The text of one function. A hostile one of a few kilobytes could become any amount of it: a branch of many targets
/// that each take many values.
pub(crate) const FUNCTION_TEXT_BYTES_MAX: usize = 256 << 20;

/// The text of all modules of an assembly.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 30;

/// A call through a table that can reach no more functions than this names each of them.
pub(crate) const CALLEES_MAX: usize = 4;
