//! Into native code and out of it, for one architecture at a time: each file has the same three functions.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "arm")]
mod arm;
#[cfg(target_arch = "riscv32")]
mod riscv32;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{enter, leave, trap};
#[cfg(target_arch = "arm")]
pub(crate) use arm::{enter, leave, trap};
#[cfg(target_arch = "riscv32")]
pub(crate) use riscv32::{enter, leave, trap};
#[cfg(target_arch = "riscv64")]
pub(crate) use riscv64::{enter, leave, trap};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{enter, leave, trap};
