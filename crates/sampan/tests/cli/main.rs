//! The command line as its users meet it: every test runs the real binary in a process of its own.

mod child;
mod errors;
mod hostile;
mod libraries;
mod memory;
mod mutants;
mod programs;
