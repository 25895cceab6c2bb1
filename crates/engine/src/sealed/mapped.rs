//! Code that is run where a file has it, so that all processes with the same program share its pages.
//!
//! Wasmtime maps a file with a component by its name only, and a sealed process has no names. It also takes code that lies
//! in memory, if it is told how such memory becomes executable.

use std::fs::File;
use std::mem;
use std::ptr::NonNull;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

use super::system::checked;

/// Has engines take such code.
pub(crate) fn configure(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(Pages)));
}

/// The component that a file has, mapped for as long as the process lives: it has one program.
///
/// # Safety
/// What the file has is Wasmtime's own, and stays as it is.
pub(crate) unsafe fn component(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
    // SAFETY: the caller sees to it that nobody writes to the file.
    let bytes = unsafe { memmap2::Mmap::map(file)? };
    let memory = NonNull::from(&*bytes);
    // SAFETY: as above, and nobody unmaps it from here on.
    match unsafe { Component::deserialize_raw(engine, memory) } {
        // Where files must not be executed, a copy may be.
        // SAFETY: the caller sees to it.
        Err(_) => unsafe { Component::deserialize(engine, &bytes) },
        mapped => {
            mem::forget(bytes);
            mapped
        }
    }
}

/// Makes memory executable, and no more so.
pub(crate) struct Pages;

impl CustomCodeMemory for Pages {
    fn required_alignment(&self) -> usize {
        // Mappings begin where pages do, and so do sections of code in them.
        1
    }

    fn publish_executable(&self, code: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: Wasmtime has whole pages of its own there, with nothing but code in them.
        let made = unsafe { libc::mprotect(code.cast_mut().cast(), len, libc::PROT_READ | libc::PROT_EXEC) };
        Ok(checked(made).map(drop)?)
    }

    fn unpublish_executable(&self, code: *const u8, len: usize) -> wasmtime::Result<()> {
        // SAFETY: as above; nobody runs it any more.
        let made = unsafe { libc::mprotect(code.cast_mut().cast(), len, libc::PROT_READ) };
        Ok(checked(made).map(drop)?)
    }
}
