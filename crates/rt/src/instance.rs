//! One running copy of a module, in room that the embedder gives.

use core::ffi::c_void;
use core::ptr;

use crate::abi::{Export, FunctionRecord, GLOBAL_BYTES, Header, HostFunction, Kind, Layout, Module, Place};
use crate::builtins::BUILTINS;
use crate::call::call;
use crate::memory::Memory;
use crate::store::Store;
use crate::table::Table;
use crate::trap::Trap;

/// What an import is given, or an export is.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "said by the names")]
pub enum Extern {
    Function(*mut FunctionRecord),
    /// A function of the host. Its `type_id` must be what the store calls its type.
    Host {
        function: *mut HostFunction,
        type_id: usize,
    },
    Memory(*mut Memory),
    /// With the letter of what it refers to and the width of an index.
    Table {
        table: *mut Table,
        element: usize,
        index_bits: usize,
    },
    /// With the letter of what it holds, and 1 if it is mutable.
    Global {
        cell: *mut u8,
        content: usize,
        mutable: usize,
    },
}

/// Why an instance cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The object is of another version of `aot`.
    AbiVersion,
    /// The import of this number is given something of another type.
    Import(usize),
    /// A memory or table exceeds the store's limits or what the platform has.
    Resources,
}

/// One running copy of a module.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    header: *mut Header,
    layout: Layout,
}

impl Instance {
    /// An instance in `room`, of which [`Instance::initialize`] has still to be called.
    ///
    /// # Safety
    /// `room` has [`Layout::bytes`] of the module's layout, zeroed, aligned to [`GLOBAL_BYTES`], and is not moved.
    /// It, the module, the store and what the imports are must live until the last instance of the store is not
    /// used any more. `type_id` gives two signatures the same number if and only if they are equal.
    pub unsafe fn new(
        store: *mut Store,
        module: *const Module,
        room: *mut u8,
        imports: &[Extern],
        type_id: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<Self, LinkError> {
        // SAFETY: the caller promises that all of it lives and that the module is what `aot` wrote.
        unsafe {
            if (*module).abi_version != crate::abi::ABI_VERSION {
                return Err(LinkError::AbiVersion);
            }
            let header = room.cast::<Header>();
            let next = (*store).instances;
            header.write(Header { builtins: &BUILTINS, store, module, next });
            let instance = Self { header, layout: (*module).layout() };
            instance.number_types(type_id);
            instance.link(imports)?;
            instance.define()?;
            (*store).instances = header;
            Ok(instance)
        }
    }

    /// The instance that native code is given.
    pub(crate) unsafe fn from_header(header: *mut Header) -> Self {
        // SAFETY: an instance's header is followed by what the layout says.
        unsafe { Self { header, layout: (*(*header).module).layout() } }
    }

    /// Gives globals their values, writes the active segments, and calls the start function.
    ///
    /// # Safety
    /// The instance lives, as [`Instance::new`] asks for, and was not initialized.
    pub unsafe fn initialize(&self) -> Result<(), Trap> {
        // SAFETY: `initialize` is native code that takes and leaves nothing, and enters by itself.
        unsafe {
            let code = (*(*self.header).module).initialize;
            let record =
                FunctionRecord { code: ptr::null(), instance: self.header.cast(), type_id: 0, enter: code };
            call((*self.header).store, &record, ptr::null_mut())
        }
    }

    unsafe fn number_types(&self, type_id: &mut dyn FnMut(&[u8]) -> usize) {
        // SAFETY: the layout has room for as many numbers as there are types, and records as functions.
        unsafe {
            let module = &*(*self.header).module;
            for (index, of) in module.types.get().iter().enumerate() {
                *self.at(self.layout.type_id(index)) = type_id(of.signature.get());
            }
            for (index, function) in module.functions.get().iter().enumerate() {
                *self.function(index) = FunctionRecord {
                    code: function.code,
                    instance: self.header.cast(),
                    type_id: *self.at(self.layout.type_id(function.type_index)),
                    enter: module.types.get()[function.type_index].enter,
                };
            }
        }
    }

    unsafe fn link(&self, imports: &[Extern]) -> Result<(), LinkError> {
        // SAFETY: the caller of `new` promises that what is imported lives.
        unsafe {
            let module = &*(*self.header).module;
            let wanted = module.imports.get();
            if wanted.len() != imports.len() {
                return Err(LinkError::Import(wanted.len().min(imports.len())));
            }
            for (number, (import, given)) in wanted.iter().zip(imports).enumerate() {
                let index = import.index;
                let fits = match (import.kind, *given) {
                    (Kind::Function, Extern::Function(record)) => {
                        let fits = (*record).type_id == (*self.function(index)).type_id;
                        *self.function(index) = *record;
                        fits
                    }
                    (Kind::Function, Extern::Host { function, type_id }) => {
                        let record = self.function(index);
                        let type_index = module.functions.get()[index].type_index;
                        (*record).code = module.types.get()[type_index].leave;
                        (*record).instance = function.cast();
                        (*record).type_id == type_id
                    }
                    (Kind::Memory, Extern::Memory(memory)) => {
                        *self.at(self.layout.memory(index)) =
                            Place { base: (*memory).base(), record: memory };
                        (*memory).matches(&module.memories.get()[index])
                    }
                    (Kind::Table, Extern::Table { table, element, index_bits }) => {
                        *self.at(self.layout.table(index)) =
                            Place { base: (*table).base().cast(), record: table };
                        let of = &module.tables.get()[index];
                        of.element == element && of.index_bits == index_bits && (*table).matches(of)
                    }
                    (Kind::Global, Extern::Global { cell, content, mutable }) => {
                        let of = &module.globals.get()[index];
                        match mutable {
                            0 => ptr::copy(cell, self.cell(index), GLOBAL_BYTES),
                            _ => *self.cell(index).cast() = cell,
                        }
                        of.content == content && of.mutable == mutable
                    }
                    _ => false,
                };
                if !fits {
                    return Err(LinkError::Import(number));
                }
            }
            Ok(())
        }
    }

    /// Makes memories, tables and the lengths of segments.
    unsafe fn define(&self) -> Result<(), LinkError> {
        // SAFETY: the layout has room for the records of what is not imported.
        unsafe {
            let module = &*(*self.header).module;
            let counts = self.layout.counts();
            for (index, of) in module.memories.get().iter().enumerate().skip(counts.memories_imported) {
                let memory = Memory::new(self.store(), of).ok_or(LinkError::Resources);
                let record: *mut Memory = self.at(self.layout.memory_record(index));
                record.write(memory.inspect_err(|_| self.release())?);
                *self.at(self.layout.memory(index)) = Place { base: (*record).base(), record };
            }
            for (index, of) in module.tables.get().iter().enumerate().skip(counts.tables_imported) {
                let table = Table::new(self.store(), of).ok_or(LinkError::Resources);
                let record: *mut Table = self.at(self.layout.table_record(index));
                record.write(table.inspect_err(|_| self.release())?);
                *self.at(self.layout.table(index)) = Place { base: (*record).base().cast(), record };
            }
            for (index, length) in module.data.get().iter().enumerate() {
                *self.at(self.layout.data_length(index)) = *length;
            }
            for (index, length) in module.elements.get().iter().enumerate() {
                *self.at(self.layout.element_length(index)) = *length;
            }
            Ok(())
        }
    }

    /// Gives back the memories and tables that it made.
    ///
    /// # Safety
    /// Nothing of the instance is used any more.
    pub unsafe fn release(&self) {
        let counts = self.layout.counts();
        // SAFETY: what has no place yet was not made; the others are records that `define` wrote.
        unsafe {
            for index in counts.memories_imported..counts.memories {
                let place: *mut Place<Memory> = self.at(self.layout.memory(index));
                if !(*place).record.is_null() {
                    (*(*place).record).release(self.store());
                }
            }
            for index in counts.tables_imported..counts.tables {
                let place: *mut Place<Table> = self.at(self.layout.table(index));
                if !(*place).record.is_null() {
                    (*(*place).record).release(self.store());
                }
            }
        }
    }

    /// What an export of its module is in this instance.
    ///
    /// # Safety
    /// The instance lives, and the export is of its module.
    pub unsafe fn export(&self, export: &Export) -> Extern {
        // SAFETY: the caller promises it; an export's index is one that there is.
        unsafe {
            let (module, index) = (&*(*self.header).module, export.index);
            match export.kind {
                Kind::Function => Extern::Function(self.function(index)),
                Kind::Memory => Extern::Memory(self.memory(index)),
                Kind::Table => {
                    let of = &module.tables.get()[index];
                    let table = self.table(index);
                    Extern::Table { table, element: of.element, index_bits: of.index_bits }
                }
                Kind::Global => {
                    let of = &module.globals.get()[index];
                    Extern::Global { cell: self.global(index), content: of.content, mutable: of.mutable }
                }
            }
        }
    }

    #[expect(clippy::mut_from_ref, reason = "the store is not part of the instance")]
    pub(crate) unsafe fn store(&self) -> &mut Store {
        // SAFETY: the store outlives the instance, and native code holds no reference to it.
        unsafe { &mut *(*self.header).store }
    }

    pub(crate) unsafe fn memory(&self, index: usize) -> *mut Memory {
        // SAFETY: the caller knows that there is such a memory.
        unsafe { (*self.at::<Place<Memory>>(self.layout.memory(index))).record }
    }

    pub(crate) unsafe fn table(&self, index: usize) -> *mut Table {
        // SAFETY: the caller knows that there is such a table.
        unsafe { (*self.at::<Place<Table>>(self.layout.table(index))).record }
    }

    pub(crate) unsafe fn function(&self, index: usize) -> *mut FunctionRecord {
        // SAFETY: the caller knows that there is such a function.
        unsafe { self.at(self.layout.function(index)) }
    }

    /// Where a global's value is, here or where it is imported from.
    pub(crate) unsafe fn global(&self, index: usize) -> *mut u8 {
        // SAFETY: the caller knows that there is such a global; imports of globals come first.
        unsafe {
            let module = &*(*self.header).module;
            match index < module.globals_imported && module.globals.get()[index].mutable == 1 {
                true => *self.cell(index).cast::<*mut u8>(),
                false => self.cell(index),
            }
        }
    }

    unsafe fn cell(&self, index: usize) -> *mut u8 {
        // SAFETY: the caller knows that there is such a global.
        unsafe { self.at(self.layout.global(index)) }
    }

    unsafe fn at<T>(&self, offset: usize) -> *mut T {
        // SAFETY: offsets of the layout lie within the instance.
        unsafe { self.header.cast::<u8>().add(offset).cast::<c_void>().cast() }
    }
}
