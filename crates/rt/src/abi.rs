//! What native code and its runtime agree on: records, and where each lies in an instance.
//!
//! Every record is a whole number of pointer-sized words, so that [`Layout`] can be computed for the target's pointer
//! width on any host. A field's place in a record is its index in words.

use core::ffi::c_void;

/// Raised whenever a record, an offset or a built-in changes.
pub const ABI_VERSION: usize = 3;

/// `usize::MAX` as a maximum of pages or elements: none is declared.
pub const NO_MAX: usize = usize::MAX;

/// No frame of native code is larger on targets without pages that guard the end of a stack: there clang refuses a
/// function that would need more.
pub const FRAME_BYTES_MAX: usize = 4 << 10;

/// What an instance begins with.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// What the runtime does for native code.
    pub builtins: *const Builtins,
    /// Whose instance it is.
    pub store: *mut crate::Store,
    /// What it is an instance of.
    pub module: *const Module,
    /// The instance of the same store that was made before.
    pub next: *mut Header,
}
/// The words of a [`Header`].
pub const HEADER_WORDS: usize = 4;

/// A function of the host, as native code sees it: in place of an instance.
#[repr(C)]
#[derive(Debug)]
pub struct HostFunction {
    /// As in an instance, so that what traps need not know which it is.
    pub header: Header,
    /// Takes the arguments and leaves the results in 8-byte slots (a vector takes two); the code of a trap, or 0.
    pub call: unsafe extern "C" fn(*mut HostFunction, *mut u64) -> u32,
    /// Whatever `call` needs.
    pub data: *mut c_void,
}

/// What a function reference points to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FunctionRecord {
    /// Native code, in the convention of native code.
    pub code: *const c_void,
    /// Its first argument.
    pub instance: *mut c_void,
    /// The same for two functions of a store if and only if they have the same type.
    pub type_id: usize,
    /// Calls `code` with arguments in slots: `enter(code, instance, slots)`.
    pub enter: *const c_void,
}
/// The words of a [`FunctionRecord`].
pub const FUNCTION_WORDS: usize = 4;

/// A memory or table as code reaches it: where it begins, which never changes, and its record.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Place<T> {
    /// Where the bytes or elements are.
    pub base: *mut u8,
    /// The rest, shared by all instances that have it.
    pub record: *mut T,
}
/// The words of a [`Place`].
pub const PLACE_WORDS: usize = 2;

/// The words of a [`crate::Memory`]: base, bytes, mask, and what native code does not read.
pub const MEMORY_WORDS: usize = 8;
/// The words of a [`crate::Table`]: base, length, maximum, reserved bytes.
pub const TABLE_WORDS: usize = 4;
/// A global has room for a vector.
pub const GLOBAL_BYTES: usize = 16;

/// What the runtime does for native code. `u32` results are codes of traps, 0 for none.
#[repr(C)]
#[derive(Debug)]
pub struct Builtins {
    /// Ends the call into native code: `(instance, code)`.
    pub trap: unsafe extern "C" fn(*mut Header, u32) -> !,
    /// `(instance, memory, pages)`: the pages there were, or -1.
    pub memory_grow: unsafe extern "C" fn(*mut Header, u32, u64) -> u64,
    /// `(instance, memory, to, byte, count)`.
    pub memory_fill: unsafe extern "C" fn(*mut Header, u32, u64, u32, u64) -> u32,
    /// `(instance, memory to, memory from, to, from, count)`.
    pub memory_copy: unsafe extern "C" fn(*mut Header, u32, u32, u64, u64, u64) -> u32,
    /// `(instance, memory, segment, segment bytes, to, from, count)`.
    pub memory_init: unsafe extern "C" fn(*mut Header, u32, *const u8, u32, u64, u32, u32) -> u32,
    /// `(instance, table, elements, value)`: the elements there were, or -1.
    pub table_grow: unsafe extern "C" fn(*mut Header, u32, u64, *mut c_void) -> u64,
    /// `(instance, table, to, value, count)`.
    pub table_fill: unsafe extern "C" fn(*mut Header, u32, u64, *mut c_void, u64) -> u32,
    /// `(instance, table to, table from, to, from, count)`.
    pub table_copy: unsafe extern "C" fn(*mut Header, u32, u32, u64, u64, u64) -> u32,
    /// `(instance, table, segment, segment length, to, from, count)`.
    pub table_init: unsafe extern "C" fn(*mut Header, u32, *const i32, u32, u64, u32, u32) -> u32,
}

/// The places of [`Builtins`], in words.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as the fields of `Builtins` are")]
pub enum Builtin {
    Trap,
    MemoryGrow,
    MemoryFill,
    MemoryCopy,
    MemoryInit,
    TableGrow,
    TableFill,
    TableCopy,
    TableInit,
}

/// An item of an element segment: below [`ELEMENT_NULL`] is the global whose value it is, counted down.
pub const ELEMENT_NULL: i32 = -1;

/// A slice in an object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct List<T> {
    start: *const T,
    len: usize,
}

impl<T> List<T> {
    /// The items.
    ///
    /// # Safety
    /// The list is part of a module's descriptor that `aot` wrote.
    pub unsafe fn get<'a>(&self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `aot` writes `len` items at `start`, which live as long as the object is loaded.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}

/// What a loaded object says of itself. `aot` writes it as one constant; all its numbers are words.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct Module {
    /// [`ABI_VERSION`] of the `aot` that wrote the object.
    pub abi_version: usize,
    /// Where the code of WebAssembly functions begins and ends.
    pub text_start: *const u8,
    pub text_end: *const u8,
    pub types: List<FunctionType>,
    pub imports: List<Import>,
    pub exports: List<Export>,
    /// Those that have a [`FunctionRecord`]: the imported ones, then those that are exported or referred to.
    pub functions: List<Function>,
    pub memories: List<MemoryType>,
    pub tables: List<TableType>,
    pub globals: List<GlobalType>,
    /// The lengths of the segments, as they are before any is dropped.
    pub data: List<u32>,
    pub elements: List<u32>,
    /// How many of each are imported; those come first.
    pub memories_imported: usize,
    pub tables_imported: usize,
    pub globals_imported: usize,
    /// Gives globals their values, writes the active segments, calls the start function: a [`FunctionType`]'s
    /// `enter` with nothing to take or leave.
    pub initialize: *const c_void,
}

/// The type of a function. A parameter or result is one letter: `i` `I` `f` `F` `v` for numbers and vectors (capital:
/// 64 bits), `r` and `x` for references to functions and to what is the host's; `:` stands before the results.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct FunctionType {
    pub signature: List<u8>,
    pub enter: *const c_void,
    /// Code that calls a [`HostFunction`]; null if nothing of this type is imported.
    pub leave: *const c_void,
}

/// What an import or export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "said by the names")]
#[repr(usize)]
pub enum Kind {
    Function = 0,
    Table = 1,
    Memory = 2,
    Global = 3,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct Import {
    pub module: List<u8>,
    pub name: List<u8>,
    pub kind: Kind,
    /// Which of its kind.
    pub index: usize,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct Export {
    pub name: List<u8>,
    pub kind: Kind,
    /// Which of its kind; of functions, which of [`Module::functions`].
    pub index: usize,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct Function {
    /// Null if it is imported.
    pub code: *const c_void,
    /// Which of [`Module::types`].
    pub type_index: usize,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct MemoryType {
    pub pages_min: usize,
    pub pages_max: usize,
    pub page_bytes_log2: usize,
    /// 64 or 32.
    pub index_bits: usize,
    pub policy: crate::Policy,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct TableType {
    pub len_min: usize,
    pub len_max: usize,
    pub index_bits: usize,
    /// A letter, as in [`FunctionType::signature`].
    pub element: usize,
}

#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "said by the types")]
pub struct GlobalType {
    /// A letter, as in [`FunctionType::signature`].
    pub content: usize,
    /// 1 if it is.
    pub mutable: usize,
}

/// How many of each an instance has, imported ones included.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "said by the names")]
pub struct Counts {
    pub types: usize,
    pub functions: usize,
    pub memories: usize,
    pub memories_imported: usize,
    pub tables: usize,
    pub tables_imported: usize,
    pub globals: usize,
    pub data: usize,
    pub elements: usize,
}

/// Where everything lies in an instance, in bytes from its start.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    word: usize,
    counts: Counts,
    globals: usize,
    memories: usize,
    tables: usize,
    functions: usize,
    memory_records: usize,
    table_records: usize,
    type_ids: usize,
    data_lengths: usize,
    element_lengths: usize,
    bytes: usize,
}

impl Layout {
    /// The layout for a target with pointers of so many bytes.
    pub const fn new(pointer_bytes: usize, counts: Counts) -> Self {
        let word = pointer_bytes;
        let globals = (HEADER_WORDS * word).next_multiple_of(GLOBAL_BYTES);
        let memories = globals + counts.globals * GLOBAL_BYTES;
        let tables = memories + counts.memories * PLACE_WORDS * word;
        let functions = tables + counts.tables * PLACE_WORDS * word;
        let memory_records = functions + counts.functions * FUNCTION_WORDS * word;
        let table_records =
            memory_records + (counts.memories - counts.memories_imported) * MEMORY_WORDS * word;
        let type_ids = table_records + (counts.tables - counts.tables_imported) * TABLE_WORDS * word;
        let data_lengths = type_ids + counts.types * word;
        let element_lengths = data_lengths + counts.data * 4;
        let bytes = (element_lengths + counts.elements * 4).next_multiple_of(GLOBAL_BYTES);
        Self {
            word,
            counts,
            globals,
            memories,
            tables,
            functions,
            memory_records,
            table_records,
            type_ids,
            data_lengths,
            element_lengths,
            bytes,
        }
    }

    /// The counts it was made for.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The whole instance, which is aligned to [`GLOBAL_BYTES`].
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of a global; of an imported mutable one, a pointer to it.
    pub const fn global(&self, index: usize) -> usize {
        self.globals + index * GLOBAL_BYTES
    }

    /// The [`Place`] of a memory.
    pub const fn memory(&self, index: usize) -> usize {
        self.memories + index * PLACE_WORDS * self.word
    }

    /// The [`Place`] of a table.
    pub const fn table(&self, index: usize) -> usize {
        self.tables + index * PLACE_WORDS * self.word
    }

    /// The [`FunctionRecord`] of one of [`Module::functions`].
    pub const fn function(&self, index: usize) -> usize {
        self.functions + index * FUNCTION_WORDS * self.word
    }

    /// The [`crate::Memory`] of a memory that is not imported.
    pub const fn memory_record(&self, index: usize) -> usize {
        self.memory_records + (index - self.counts.memories_imported) * MEMORY_WORDS * self.word
    }

    /// The [`crate::Table`] of a table that is not imported.
    pub const fn table_record(&self, index: usize) -> usize {
        self.table_records + (index - self.counts.tables_imported) * TABLE_WORDS * self.word
    }

    /// What the store calls one of [`Module::types`].
    pub const fn type_id(&self, index: usize) -> usize {
        self.type_ids + index * self.word
    }

    /// The bytes of a data segment, 0 when it was dropped.
    pub const fn data_length(&self, index: usize) -> usize {
        self.data_lengths + index * 4
    }

    /// The items of an element segment, 0 when it was dropped.
    pub const fn element_length(&self, index: usize) -> usize {
        self.element_lengths + index * 4
    }
}

impl Module {
    /// Where everything lies in an instance of it.
    ///
    /// # Safety
    /// The descriptor is one that `aot` wrote.
    pub unsafe fn layout(&self) -> Layout {
        // SAFETY: the lists are part of the descriptor.
        let counts = unsafe {
            Counts {
                types: self.types.get().len(),
                functions: self.functions.get().len(),
                memories: self.memories.get().len(),
                memories_imported: self.memories_imported,
                tables: self.tables.get().len(),
                tables_imported: self.tables_imported,
                globals: self.globals.get().len(),
                data: self.data.get().len(),
                elements: self.elements.get().len(),
            }
        };
        Layout::new(size_of::<usize>(), counts)
    }
}

const _: () = {
    let word = size_of::<usize>();
    assert!(size_of::<Header>() == HEADER_WORDS * word);
    assert!(size_of::<FunctionRecord>() == FUNCTION_WORDS * word);
    assert!(size_of::<Place<()>>() == PLACE_WORDS * word);
    assert!(size_of::<crate::Memory>() == MEMORY_WORDS * word);
    assert!(size_of::<crate::Table>() == TABLE_WORDS * word);
    assert!(size_of::<Builtins>() == (Builtin::TableInit as usize + 1) * word);
};
