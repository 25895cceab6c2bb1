//! Every maximum by name.

/// The text of one function. A hostile one of a few kilobytes could become any amount of it: a branch of many targets
/// that each take many values.
pub(crate) const FUNCTION_TEXT_BYTES_MAX: usize = 256 << 20;

/// The text of all modules of an assembly.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 30;

/// Text of more parts is refused. There are fewer in any that was made here; what comes to be compiled may be hostile.
pub(crate) const PARTS_MAX: usize = 1_024;

/// So much the objects of all parts take before they are linked: each is also bounded by what runs clang.
pub(crate) const OBJECTS_BYTES_MAX: usize = 1 << 30;

/// A function of no more text is known where it is called from another part.
pub(crate) const SMALL_FUNCTION_TEXT_BYTES_MAX: usize = 6 << 10;

/// To find where a function is best put, so many callers are followed: they may go in a circle.
pub(crate) const CALLERS_MAX: usize = 100;

/// So many bytes of names of functions are kept, the first ones.
pub(crate) const FUNCTION_NAMES_BYTES_MAX: usize = 16 << 20;

/// A library for C names no more exports, imports, parameters and results: a type of many is cheap to repeat.
pub(crate) const LIBRARY_ITEMS_MAX: usize = 1 << 18;

/// A call through a table that can reach no more functions than this names each of them.
pub(crate) const CALLEES_MAX: usize = 4;

/// A loop of no more operators is written twice.
pub(crate) const COPY_OPERATORS_MAX: usize = 1_000;

/// So many addresses that move on their own are looked at before a copied loop begins.
pub(crate) const COPY_STREAMS_MAX: usize = 12;

/// What moves further in one turn is checked in each. A processor may guess a few hundred turns past the last one, and this
/// bounds how far behind the memory that is.
pub(crate) const COPY_STEP_BYTES_MAX: u64 = 16 << 10;

/// For the same reason, so far from the first byte of what moves together the last one may lie.
pub(crate) const COPY_REACH_BYTES_MAX: u64 = 16 << 20;

/// So many bytes are filled or copied without a call of the runtime. Meanwhile nothing can stop them.
pub(crate) const ON_THE_SPOT_BYTES_MAX: u64 = 512;

/// So many locals whose value is at hand, and indices that were checked, are remembered, the latest ones: each block keeps
/// what is known where it begins.
pub(crate) const HELD_LOCALS_MAX: usize = 16;
/// See [`HELD_LOCALS_MAX`].
pub(crate) const REACHED_INDICES_MAX: usize = 16;

/// A number that is a sum of more locals is not looked at.
pub(crate) const LINEAR_TERMS_MAX: usize = 4;
