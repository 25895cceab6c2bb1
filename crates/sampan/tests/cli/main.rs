//! The command line as its users meet it: every test runs the real binary in a process of its own.

mod bench;
#[allow(
    dead_code,
    reason = "what was resident is measured by the tests of memory, in a process that stays small"
)]
mod child;
mod errors;
mod hostile;
mod libraries;
mod mutants;
mod place;
mod products;
mod programs;
