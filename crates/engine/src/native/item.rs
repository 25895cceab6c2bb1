//! What instances import and export. Each belongs to a store, and panics if it is used with another one.

use std::slice;

use super::error::Error;
use super::host;
use super::store::Store;
use super::value::Value;
use rt::abi::{FunctionRecord, NO_MAX, TableType};

/// What an instance imports or exports.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "said by the names")]
pub enum Extern {
    Func(Func),
    Memory(Memory),
    Table(Table),
    Global(Global),
}

/// A function of an instance, or one of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Func {
    store: u64,
    pub(super) record: *mut FunctionRecord,
}

/// A linear memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub(super) store: u64,
    pub(super) raw: *mut rt::Memory,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub(super) store: u64,
    pub(super) raw: *mut rt::Table,
    pub(super) element: usize,
    pub(super) index_bits: usize,
}

/// A global.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    pub(super) store: u64,
    pub(super) cell: *mut u8,
    pub(super) content: usize,
    pub(super) mutable: usize,
}

impl Func {
    pub(super) fn new(store: &Store, record: *mut FunctionRecord) -> Self {
        Self { store: store.id(), record }
    }

    /// Calls the function.
    pub fn call(&self, store: &mut Store, args: &[Value]) -> Result<Vec<Value>, Error> {
        store.owns(self.store);
        // SAFETY: a record lives as long as its store.
        let record = unsafe { *self.record };
        let signature = store.signature(record.type_id);
        let (params, results) = host::split(&signature);
        let native = |value: &Value| !matches!(value, Value::FuncRef(Some(of)) if of.is_host());
        if !host::fits(args, params) || !args.iter().all(native) {
            return Err(Error::Arguments);
        }
        let mut slots = vec![0_u64; host::slots_of(&signature)];
        // SAFETY: the slots are as many as the type needs; the record is of the store.
        unsafe {
            host::save(args, slots.as_mut_ptr());
            store.run(|raw| rt::call(raw, &record, slots.as_mut_ptr()))?;
            Ok(host::load(store, results, slots.as_ptr()))
        }
    }

    /// Code of the host stands behind it, which only an instance that imports it can call.
    pub(super) fn is_host(&self) -> bool {
        // SAFETY: a record lives as long as its store.
        unsafe { (*self.record).code.is_null() }
    }

    pub(super) const fn store(&self) -> u64 {
        self.store
    }
}

impl Memory {
    /// A memory that no instance has made.
    pub fn new(
        store: &mut Store,
        pages_min: usize,
        pages_max: Option<usize>,
        policy: rt::Policy,
    ) -> Result<Self, Error> {
        let of = rt::abi::MemoryType {
            pages_min,
            pages_max: pages_max.unwrap_or(NO_MAX),
            page_bytes_log2: 16,
            index_bits: 32,
            policy,
        };
        store.define_memory(&of)
    }

    /// Its bytes.
    pub fn data<'a>(&self, store: &'a Store) -> &'a [u8] {
        store.owns(self.store);
        // SAFETY: native code of the store, which might change them, does not run while the store is borrowed.
        unsafe {
            let data = (*self.raw).data();
            slice::from_raw_parts(data.cast(), data.len())
        }
    }

    /// How many pages it has.
    pub fn pages(&self, store: &Store) -> u64 {
        store.owns(self.store);
        // SAFETY: a memory lives as long as its store.
        unsafe { (*self.raw).pages() }
    }
}

impl Table {
    /// A table of references to functions that no instance has made, whose indices have 32 or 64 bits.
    pub fn new(
        store: &mut Store,
        len_min: usize,
        len_max: Option<usize>,
        index_bits: usize,
    ) -> Result<Self, Error> {
        let len_max = len_max.unwrap_or(NO_MAX);
        store.define_table(&TableType { len_min, len_max, index_bits, element: b'r'.into() })
    }

    /// How many elements it has.
    pub fn len(&self, store: &Store) -> usize {
        store.owns(self.store);
        // SAFETY: a table lives as long as its store.
        unsafe { (*self.raw).len() }
    }

    /// Whether it has none.
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }

    /// An element, if there is one of that index.
    pub fn get(&self, store: &Store, index: u64) -> Option<Value> {
        store.owns(self.store);
        // SAFETY: a table lives as long as its store, and has references of its element's type.
        unsafe {
            let pointer = (*self.raw).get(index)?;
            Some(Value::from_pointer(store, self.element as u8, pointer))
        }
    }
}

impl Global {
    /// A global that no instance has made.
    pub fn new(store: &mut Store, value: Value, is_mutable: bool) -> Self {
        store.define_global(value, is_mutable)
    }

    /// Its value.
    pub fn get(&self, store: &Store) -> Value {
        store.owns(self.store);
        // SAFETY: a global lives as long as its store, and has a value of its type.
        unsafe { Value::from_slots(store, self.content as u8, *self.cell.cast::<[u64; 2]>()) }
    }
}
