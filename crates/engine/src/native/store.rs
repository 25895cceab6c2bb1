//! Stores and the instances in them.

use std::any::Any;
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;
use super::host::{Function, Host};
use super::interrupt::Interrupter;
use super::item::{Extern, Func, Global, Memory, Table};
use super::object::{Module, text};
use super::value::Value;
use rt::abi::{self, FunctionRecord, GLOBAL_BYTES, MemoryType, TableType};
use rt::linux::Linux;
use rt::{Limits, LinkError, Trap};

/// A native instance and all that it can reach.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    store: u64,
    index: usize,
}

/// Instances that may reach each other, and what they share.
pub struct Store {
    id: u64,
    // What native code points to lies in boxes of its own, and goes only with the store.
    raw: *mut rt::Store,
    rooms: Vec<Box<[u128]>>,
    instances: Vec<(rt::Instance, Module)>,
    memories: Vec<*mut rt::Memory>,
    tables: Vec<*mut rt::Table>,
    hosts: Vec<*mut Host>,
    types: Vec<Arc<[u8]>>,
    type_ids: HashMap<Arc<[u8]>, usize>,
    interrupter: Interrupter,
    pub(super) failure: Option<Error>,
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

// SAFETY: everything it points to is its own; what runs on one thread ends there before another can have the store.
unsafe impl Send for Store {}

static STORES: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// An empty store. It is boxed because functions of the host know where it is.
    pub fn new(limits: Limits) -> Box<Self> {
        let interrupter = Interrupter::new();
        // SAFETY: the store keeps the interrupter.
        let raw = unsafe { rt::Store::new(Linux::get(), limits, interrupter.wanted()) };
        Box::new(Self {
            id: STORES.fetch_add(1, Ordering::Relaxed),
            raw: Box::into_raw(Box::new(raw)),
            interrupter,
            rooms: Vec::new(),
            instances: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            hosts: Vec::new(),
            types: Vec::new(),
            type_ids: HashMap::new(),
            failure: None,
            panic: None,
        })
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// What ends its native code from another thread.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupter.is_wanted()
    }

    pub(super) fn owns(&self, store: u64) {
        assert_eq!(self.id, store, "used with another store than its own");
    }

    pub(super) fn signature(&self, type_id: usize) -> Arc<[u8]> {
        Arc::clone(&self.types[type_id])
    }

    /// What the store calls a type.
    fn number_of_type(&mut self, signature: &[u8]) -> usize {
        if let Some(type_id) = self.type_ids.get(signature) {
            return *type_id;
        }
        let signature: Arc<[u8]> = signature.into();
        self.type_ids.insert(Arc::clone(&signature), self.types.len());
        self.types.push(signature);
        self.types.len() - 1
    }

    /// A function of the host. `signature` is as in [`rt::abi::FunctionType`].
    pub fn function(
        self: &mut Box<Self>,
        signature: &str,
        function: impl FnMut(&[Value]) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
    ) -> Func {
        let function: Box<Function> = Box::new(function);
        let type_id = self.number_of_type(signature.as_bytes());
        let host = Host::new(&mut **self, self.raw, signature.as_bytes(), function);
        self.hosts.push(host);
        let record = FunctionRecord {
            code: std::ptr::null(),
            // SAFETY: it was made just now.
            instance: unsafe { &raw mut (*host).raw }.cast(),
            type_id,
            enter: std::ptr::null(),
        };
        let room = self.room(size_of::<FunctionRecord>());
        // SAFETY: the room is as large, and lives as long as the store.
        unsafe { room.cast::<FunctionRecord>().write(record) };
        Func::new(self, room.cast())
    }

    /// An instance, given something for each of [`Module::imports`], initialized. If that traps, what it did to what it
    /// imports stays.
    pub fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> Result<Instance, Error> {
        // SAFETY: the module is kept by the store from here on; rooms and what is imported live as long as it.
        unsafe {
            let descriptor = module.descriptor();
            if (*descriptor).abi_version != abi::ABI_VERSION {
                return Err(Error::Version);
            }
            let given: Vec<rt::Extern> = imports.iter().map(|import| self.raw_extern(import)).collect();
            let room = self.room((*descriptor).layout().bytes());
            let raw = self.raw;
            let mut type_id = |signature: &[u8]| self.number_of_type(signature);
            let made = rt::Instance::new(raw, descriptor, room, &given, &mut type_id);
            let instance = made.map_err(|error| match error {
                LinkError::AbiVersion => Error::Version,
                LinkError::Resources => Error::Resources,
                LinkError::Import(index) => import_error(&*descriptor, index),
            })?;
            self.instances.push((instance, module.clone()));
            self.run(|_| instance.initialize())?;
            Ok(Instance { store: self.id, index: self.instances.len() - 1 })
        }
    }

    fn raw_extern(&self, of: &Extern) -> rt::Extern {
        match *of {
            Extern::Func(func) => {
                self.owns(func.store());
                // SAFETY: a record lives as long as its store.
                let record = unsafe { *func.record };
                match func.is_host() {
                    true => rt::Extern::Host { function: record.instance.cast(), type_id: record.type_id },
                    false => rt::Extern::Function(func.record),
                }
            }
            Extern::Memory(memory) => {
                self.owns(memory.store);
                rt::Extern::Memory(memory.raw)
            }
            Extern::Table(Table { store, raw, element, index_bits }) => {
                self.owns(store);
                rt::Extern::Table { table: raw, element, index_bits }
            }
            Extern::Global(Global { store, cell, content, mutable }) => {
                self.owns(store);
                rt::Extern::Global { cell, content, mutable }
            }
        }
    }

    /// What an instance exports by this name.
    pub fn export(&self, instance: Instance, name: &str) -> Option<Extern> {
        self.owns(instance.store);
        let (raw, module) = &self.instances[instance.index];
        // SAFETY: the store keeps the module and the instance.
        let raw = unsafe {
            let exports = (*module.descriptor()).exports.get();
            let export = exports.iter().find(|export| text(&export.name) == name)?;
            raw.export(export)
        };
        let store = self.id;
        Some(match raw {
            rt::Extern::Function(record) => Extern::Func(Func::new(self, record)),
            rt::Extern::Memory(raw) => Extern::Memory(Memory { store, raw }),
            rt::Extern::Table { table, element, index_bits } => {
                Extern::Table(Table { store, raw: table, element, index_bits })
            }
            rt::Extern::Global { cell, content, mutable } => {
                Extern::Global(Global { store, cell, content, mutable })
            }
            rt::Extern::Host { .. } => return None,
        })
    }

    /// The function that an instance exports by this name.
    pub fn func(&self, instance: Instance, name: &str) -> Option<Func> {
        match self.export(instance, name)? {
            Extern::Func(func) => Some(func),
            _ => None,
        }
    }

    /// Runs native code, and finds out why it did not end well.
    pub(super) fn run(&mut self, code: impl FnOnce(*mut rt::Store) -> Result<(), Trap>) -> Result<(), Error> {
        let before = self.interrupter.entered();
        // Whoever asks from here on finds the thread; whoever asked earlier is found here.
        let done = if self.interrupter.is_wanted() { Err(Trap::Interrupted) } else { code(self.raw) };
        self.interrupter.left(before);
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        done.map_err(|trap| self.failure.take().filter(|_| trap == Trap::Host).unwrap_or(Error::Trap(trap)))
    }

    /// Zeroed room that lives as long as the store.
    fn room(&mut self, bytes: usize) -> *mut u8 {
        let mut room = vec![0_u128; bytes.div_ceil(size_of::<u128>())].into_boxed_slice();
        let start = room.as_mut_ptr();
        self.rooms.push(room);
        start.cast()
    }

    pub(super) fn define_memory(&mut self, of: &MemoryType) -> Result<Memory, Error> {
        // SAFETY: the raw store is ours.
        let memory = rt::Memory::new(unsafe { &mut *self.raw }, of).ok_or(Error::Resources)?;
        let raw = Box::into_raw(Box::new(memory));
        self.memories.push(raw);
        Ok(Memory { store: self.id, raw })
    }

    pub(super) fn define_table(&mut self, of: &TableType) -> Result<Table, Error> {
        // SAFETY: the raw store is ours.
        let table = rt::Table::new(unsafe { &mut *self.raw }, of).ok_or(Error::Resources)?;
        let raw = Box::into_raw(Box::new(table));
        self.tables.push(raw);
        Ok(Table { store: self.id, raw, element: of.element, index_bits: of.index_bits })
    }

    pub(super) fn define_global(&mut self, value: Value, is_mutable: bool) -> Global {
        let cell = self.room(GLOBAL_BYTES);
        // SAFETY: the room has two slots.
        unsafe { cell.cast::<[u64; 2]>().write(value.to_slots()) };
        Global { store: self.id, cell, content: value.letter().into(), mutable: is_mutable.into() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: whoever holds something of the store can use it only together with the store.
        unsafe {
            for (instance, _) in &self.instances {
                instance.release();
            }
            for memory in &self.memories {
                Box::from_raw(*memory).release(&mut *self.raw);
            }
            for table in &self.tables {
                Box::from_raw(*table).release(&mut *self.raw);
            }
            for host in &self.hosts {
                drop(Box::from_raw(*host));
            }
            drop(Box::from_raw(self.raw));
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("instances", &self.instances.len()).finish_non_exhaustive()
    }
}

fn import_error(descriptor: &abi::Module, index: usize) -> Error {
    // SAFETY: the descriptor is one that `aot` wrote.
    let imports = unsafe { descriptor.imports.get() };
    let of =
        |get: fn(&abi::Import) -> &abi::List<u8>| imports.get(index).map_or("?", |import| text(get(import)));
    Error::Import { module: of(|import| &import.module).into(), name: of(|import| &import.name).into() }
}
