//! The registers of a thread that got a signal, for one architecture at a time: each file has the same five functions.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{call, frame, link, program_counter, stack};
#[cfg(target_arch = "riscv64")]
pub(super) use riscv64::{call, frame, link, program_counter, stack};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{call, frame, link, program_counter, stack};
