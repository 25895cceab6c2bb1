//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod crowd;
pub(crate) mod inspect;
pub(crate) mod logs;
pub(crate) mod new;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod stop;
pub(crate) mod trust;
pub(crate) mod worker;
