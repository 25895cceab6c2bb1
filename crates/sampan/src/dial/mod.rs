//! The dial, measured: what each profile, and each other way to run a program that this machine has, gives of
//! performance, isolation and efficiency.

pub(crate) mod bundle;
pub(crate) mod contest;
pub(crate) mod contestant;
pub(crate) mod isolation;
pub(crate) mod memory;
pub(crate) mod picture;
pub(crate) mod png;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod recommend;
pub(crate) mod score;
pub(crate) mod served;
pub(crate) mod stats;
pub(crate) mod text;
