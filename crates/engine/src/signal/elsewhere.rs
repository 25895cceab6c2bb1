//! Where programs cannot be interrupted by signals: nothing here is ever reached.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

use crate::code::Code;

pub(super) enum Target {}

pub(super) struct Inside;

pub(super) fn is_supported() -> bool {
    false
}

pub(super) fn alone() {}

pub(super) fn nanoseconds_of(_: Option<Instant>) -> u64 {
    u64::MAX
}

impl Target {
    pub(super) fn new(_: *mut c_void, _: Arc<Code>, _: Option<Instant>) -> Self {
        unreachable!("no engine is made that interrupts by signals")
    }

    pub(super) fn forget_return(&self) {
        match *self {}
    }
}

pub(super) fn enter(target: &Arc<Target>) -> Inside {
    match **target {}
}

pub(super) fn enter_native(_: &super::NativeCode) {}

pub(super) fn interrupt_in(_: u64) {}
