//! The native code of a program, loaded, and what all its instances share.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use corosensei::stack::{DefaultStack, Stack};
use rt::Stopped;
use rt::abi::{ABI_VERSION, Kind};
use rt::linux::Linux;

use crate::limits::{
    FUNCTION_NAME_BYTES_MAX, NATIVE_FRAMES_MAX, NATIVE_STACK_BYTES, NATIVE_STACKS_KEPT_MAX,
    NATIVE_TRACE_BYTES,
};
use crate::native::{Error, Module, Object, StackPart, slots_of};
use crate::signal;

/// What a module is called in the object, by its number among those that are native code.
pub(super) fn name(module: usize) -> String {
    format!("program{module}")
}

/// Bytes that are set aside for each memory, accessible or not: whatever an index and an offset of 32 bits can reach, and
/// the widest access there.
pub(crate) const REACH_BYTES: usize = (1 << 33) + (64 << 10);

/// The native code of a program.
#[derive(Debug)]
pub(crate) struct Code {
    module: Module,
    /// The slots of 8 bytes that arguments and results of each export need, and of each imported function.
    slots_of_exports: Vec<usize>,
    slots_of_imports: Vec<usize>,
    /// Of the program, in each call.
    stack_bytes: usize,
    gives_way: bool,
    stacks: Stacks,
}

/// The functions of a program that were running when it trapped, whose code is native: part of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeBacktrace {
    /// The innermost first, [`NATIVE_FRAMES_MAX`] at most. What LLVM has put into its caller is a part of that.
    pub functions: Vec<NativeFunction>,
    /// Whether it goes back to the export that was called: there may be too many functions, or frames too large.
    pub is_whole: bool,
}

/// A function of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeFunction {
    /// Its number in its module.
    pub number: u32,
    /// What it is called, if it has a name.
    pub name: Option<String>,
}

impl fmt::Display for NativeBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, function) in self.functions.iter().enumerate() {
            f.write_str(if place == 0 { "in " } else { ", called by " })?;
            match &function.name {
                Some(name) => write!(f, "`{name}`"),
                None => write!(f, "function {}", function.number),
            }?;
        }
        Ok(())
    }
}

/// Stacks that no call uses now.
#[derive(Default)]
struct Stacks(Mutex<Vec<DefaultStack>>);

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stacks")
    }
}

impl Code {
    /// Loads the code of all guests in an object. Each call may use so many bytes of stack, and gives way once a slice if
    /// it is to.
    ///
    /// # Safety
    /// As for [`Object::load`].
    pub(super) unsafe fn load(
        object: &[u8],
        stack_bytes: usize,
        gives_way: bool,
    ) -> Result<Vec<Arc<Self>>, Error> {
        // Whoever handles a signal first is asked last. The runtime's handler passes on what is not for it, the other one
        // does not: so that is asked for first, always.
        let has_signals = signal::is_supported();
        if gives_way && !has_signals {
            return Err(Error::Load("nothing can interrupt it in this process".to_owned()));
        }
        Linux::get();
        // SAFETY: the caller promises it.
        let object = unsafe { Object::load(object) }?;
        let modules = (0..).map_while(|number| object.module(&name(number)).ok());
        // SAFETY: as above.
        modules.map(|module| unsafe { Self::new(module, stack_bytes, gives_way) }.map(Arc::new)).collect()
    }

    unsafe fn new(module: Module, stack_bytes: usize, gives_way: bool) -> Result<Self, Error> {
        // SAFETY: the descriptor is one that `aot` wrote, and lives as long as the module.
        let (slots_of_exports, slots_of_imports) = unsafe {
            let of = &*module.descriptor();
            if of.abi_version != ABI_VERSION {
                return Err(Error::Version);
            }
            let slots = |function: usize| {
                let ty = &of.types.get()[of.functions.get()[function].type_index];
                slots_of(ty.signature.get())
            };
            let exports = of.exports.get().iter().map(|export| match export.kind {
                Kind::Function => slots(export.index),
                _ => 0,
            });
            let imports = of.imports.get().iter().filter(|import| import.kind == Kind::Function);
            (exports.collect(), imports.map(|import| slots(import.index)).collect())
        };
        Ok(Self {
            module,
            slots_of_exports,
            slots_of_imports,
            stack_bytes,
            gives_way,
            stacks: Stacks::default(),
        })
    }

    /// The functions that were running when a trap stopped them; none if it is not known.
    pub(super) fn backtrace(&self, at: &Stopped, stack: &StackPart<'_>) -> Option<NativeBacktrace> {
        let (numbers, is_whole) = self.module.running(at, stack, NATIVE_FRAMES_MAX);
        let names = self.module.names_of(&numbers, FUNCTION_NAME_BYTES_MAX);
        let function = |number| NativeFunction { number, name: names.get(&number).cloned() };
        let functions: Vec<_> = numbers.into_iter().map(function).collect();
        (!functions.is_empty()).then_some(NativeBacktrace { functions, is_whole })
    }

    pub(super) const fn descriptor(&self) -> *const rt::abi::Module {
        self.module.descriptor()
    }

    /// Where the code of the program's functions lies.
    pub(super) fn text(&self) -> Range<usize> {
        // SAFETY: the descriptor lives as long as the module.
        let (start, end) = unsafe { ((*self.descriptor()).text_start, (*self.descriptor()).text_end) };
        start as usize..end as usize
    }

    /// Memories are held to theirs by Wasmtime.
    pub(super) const fn limits(&self, table_elements_max: usize) -> rt::Limits {
        rt::Limits { memory_bytes_max: usize::MAX, table_elements_max, stack_bytes_max: self.stack_bytes }
    }

    pub(super) const fn gives_way(&self) -> bool {
        self.gives_way
    }

    pub(super) fn memories_len(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.descriptor()).memories.get() }.len()
    }

    pub(super) fn imports_len(&self) -> u32 {
        self.slots_of_imports.len() as u32
    }

    /// The slots of an export, by its number; none for what has no number.
    pub(super) fn slots_of_export(&self, number: u32) -> usize {
        self.slots_of_exports.get(number as usize).copied().unwrap_or(0)
    }

    pub(super) fn slots_of_import(&self, number: u32) -> usize {
        self.slots_of_imports[number as usize]
    }

    /// A stack for one call, with room for the host below the program's part, and below that [`NATIVE_TRACE_BYTES`] which
    /// nobody uses as a stack; and where these begin.
    pub(super) fn take_stack(&self) -> wasmtime::Result<(DefaultStack, *mut u8)> {
        let bytes = self.stack_bytes + NATIVE_STACK_BYTES + NATIVE_TRACE_BYTES;
        let kept = self.stacks.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let stack = match kept {
            Some(stack) => stack,
            None => DefaultStack::new(bytes)?,
        };
        let trace = (stack.base().get() - bytes) as *mut u8;
        Ok((stack, trace))
    }

    /// Takes a stack back, for the next call.
    pub(super) fn give_stack(&self, stack: DefaultStack) {
        let mut stacks = self.stacks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stacks.len() < NATIVE_STACKS_KEPT_MAX {
            stacks.push(stack);
        }
    }
}
