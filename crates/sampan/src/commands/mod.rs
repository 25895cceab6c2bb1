//! The commands, one file each.

pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod serve;
