//! An instance of native code behind a [shim](super::module): its memories are Wasmtime's, and each call into it runs on a
//! stack of its own, which it leaves whenever it needs WebAssembly: to call an import, to grow a memory, to give way.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use rt::abi::{FunctionRecord, GLOBAL_BYTES, Header, HostFunction};
use rt::linux::Linux;
use rt::{Extern, Parked, Platform, Stopped, Trap};

use super::code::{Code, REACH_BYTES};
use super::module::{
    ASKED_AT, BEGIN, DONE, ENTER, EXCHANGE_PAGES_MAX, GROW, IMPORT, NUMBER_AT, SIZES_AT, SLOTS_AT, STATE_AT,
    TICK,
};
use crate::limits::{NATIVE_CALLS_MAX, NATIVE_TABLE_ELEMENTS_MAX, NATIVE_TRACE_BYTES, TABLE_ELEMENT_BYTES};
use crate::native::StackPart;
use crate::signal::{self, NativeCode};

/// By which the exchange is known when it grows.
const EXCHANGE_BYTES_MAX: usize = (EXCHANGE_PAGES_MAX as usize) << 16;

/// The instances of native code of one store.
#[derive(Default)]
pub(crate) struct Guests {
    all: Vec<Guest>,
    /// The code of the next one, and where its memories begin, as far as they are known.
    next: Option<(Arc<Code>, Vec<*mut u8>)>,
}

/// One instance.
pub(super) struct Guest {
    code: Arc<Code>,
    // Native code points to all of these, which therefore stay where they are until the instance is dropped.
    store: *mut rt::Store,
    shared: *mut Shared,
    imports: *mut [Import],
    _room: Box<[u128]>,
    instance: rt::Instance,
    table_elements_max: usize,
    /// When the time of the store is over.
    ends_at_ns: u64,
    calls: Vec<Option<Call>>,
}

/// What native code reaches while it runs.
struct Shared {
    memories: Box<[rt::Memory]>,
    /// Where arguments, results and the sizes of memories cross.
    exchange: *mut u8,
    /// By which the call that runs now leaves its stack.
    yielder: Cell<*const Yielder<bool, Pause>>,
    /// Tables that are small, for which the system need not be asked.
    tables: RefCell<Vec<Box<[u128]>>>,
    /// Not 0 once the time of the store is over: what the runtime does for long looks at it.
    is_over: AtomicUsize,
    trace: Trace,
}

/// What is kept of a trap until its stack has been left.
struct Trace {
    /// Where to put what was on the stack of the call that runs now.
    room: Cell<*mut u8>,
    /// Where it stopped, where what was put there had begun, and how much that is.
    stopped: Cell<Option<(Stopped, usize, usize)>>,
}

/// Up to so many bytes a table is small.
const SMALL_TABLE_BYTES_MAX: usize = 64 << 10;

/// An import as native code calls it.
#[repr(C)]
struct Import {
    raw: HostFunction,
    number: u32,
}

/// Why a call leaves its stack.
enum Pause {
    Import { number: u32, slots: *mut u64 },
    Grow { memory: usize, pages: u64 },
    Tick,
}

/// A call that has not ended.
struct Call {
    coroutine: Coroutine<bool, Pause, Result<(), Trap>, DefaultStack>,
    /// See [`Trace::room`].
    trace: *mut u8,
    /// Its arguments, then its results.
    slots: Box<[u64]>,
    /// While it does not run, where it goes on.
    parked: Option<(Parked, *const Yielder<bool, Pause>)>,
    waits: Wait,
}

/// What a call waits for.
enum Wait {
    /// Results, to be put there.
    Results(*mut u64, usize),
    Growth,
    Nothing,
}

// SAFETY: what a guest points to is its own. What lies on the stacks of its calls are frames of native code and of `rt`,
// none of which knows its thread: what is a thread's own is parked.
unsafe impl Send for Guest {}
// SAFETY: nothing can be done with a shared one.
unsafe impl Sync for Guest {}

// SAFETY: it is used where native code runs, which is one thread at a time, and nowhere else.
unsafe impl Sync for Shared {}

impl Guests {
    /// Begins to make an instance.
    pub(super) fn make(&mut self, code: &Arc<Code>) {
        self.next = Some((Arc::clone(code), Vec::new()));
    }

    /// Says where a memory of the instance begins that is being made: each with [`REACH_BYTES`] set aside, in order.
    pub(super) fn lend(&mut self, memory: *mut u8) {
        let (_, memories) = self.next.as_mut().expect("shims make what they lend to");
        memories.push(memory);
    }

    /// Makes the instance, whose arguments and results cross in `exchange`, whose tables take at most so many bytes, and which
    /// is paused at `ends_at`.
    ///
    /// # Safety
    /// That, and all memories lent, stay where they are for as long as calls are made.
    pub(super) unsafe fn finish(
        &mut self,
        exchange: *mut u8,
        table_bytes_max: usize,
        ends_at: Option<Instant>,
    ) -> wasmtime::Result<()> {
        let (code, memories) = self.next.take().expect("as above");
        // SAFETY: the caller promises it.
        self.all.push(unsafe { Guest::new(&code, &memories, exchange, table_bytes_max, ends_at) }?);
        Ok(())
    }

    /// Bytes of all tables, which Wasmtime does not see.
    pub(crate) fn table_bytes(&self) -> usize {
        self.all.iter().map(Guest::table_bytes).sum()
    }

    /// Does what a shim asks for by growing its exchange, if it is that what grows: a memory of at most so many bytes.
    ///
    /// # Errors
    /// The trap that native code came to.
    pub(crate) fn answer(&mut self, bytes_max: Option<usize>) -> Option<wasmtime::Result<()>> {
        if self.all.is_empty() || bytes_max != Some(EXCHANGE_BYTES_MAX) {
            return None;
        }
        // Nobody but a shim can write to its exchange, so that no other memory of this kind will do.
        let asks = |guest: &&mut Guest| guest.asks();
        // SAFETY: Wasmtime, as the engine has set it up, moves no memory.
        self.all.iter_mut().find(asks).map(|guest| unsafe { guest.answer() })
    }
}

// SAFETY: the memories of the next one are only pointed to.
unsafe impl Send for Guests {}
// SAFETY: as above.
unsafe impl Sync for Guests {}

impl std::fmt::Debug for Guests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Guests").field(&self.all.len()).finish()
    }
}

impl Guest {
    unsafe fn new(
        code: &Arc<Code>,
        memories: &[*mut u8],
        exchange: *mut u8,
        table_bytes_max: usize,
        ends_at: Option<Instant>,
    ) -> wasmtime::Result<Self> {
        let table_elements_max = NATIVE_TABLE_ELEMENTS_MAX.min(table_bytes_max / TABLE_ELEMENT_BYTES);
        // SAFETY: the descriptor lives as long as the code, which the guest keeps; the rest the caller promises. What is
        // boxed here is freed when the guest is dropped, after the instance that points to it was released.
        unsafe {
            let descriptor = code.descriptor();
            let types = (*descriptor).memories.get();
            let lent = memories.iter().zip(types).map(|(base, ty)| rt::Memory::lent(*base, REACH_BYTES, ty));
            let shared = Shared {
                memories: lent.collect(),
                exchange,
                yielder: Cell::new(ptr::null()),
                tables: RefCell::default(),
                is_over: AtomicUsize::new(0),
                trace: Trace { room: Cell::new(ptr::null_mut()), stopped: Cell::new(None) },
            };
            let shared = Box::into_raw(Box::new(shared));
            // Who uses the store lets it go before the platform.
            let platform: &'static dyn Platform = &*shared;
            let store = Box::into_raw(Box::new(rt::Store::new(
                platform,
                code.limits(table_elements_max),
                &raw const (*shared).is_over,
            )));

            let module = &*descriptor;
            let functions = module.functions.get();
            let header =
                || Header { builtins: &rt::BUILTINS, store, module: ptr::null(), next: ptr::null_mut() };
            let imports: Box<[Import]> = (0..code.imports_len())
                .map(|number| Import {
                    raw: HostFunction { header: header(), call: call_import, data: shared.cast() },
                    number,
                })
                .collect();
            let imports = Box::into_raw(imports);
            let mut next_import = imports.cast::<Import>();
            let mut next_memory = (*shared).memories.as_mut_ptr();
            let given: Vec<Extern> = module
                .imports
                .get()
                .iter()
                .map(|import| match import.kind {
                    rt::abi::Kind::Function => {
                        let function = next_import;
                        next_import = next_import.add(1);
                        let type_id = functions[import.index].type_index;
                        Extern::Host { function: (&raw mut (*function).raw), type_id }
                    }
                    _ => {
                        let memory = next_memory;
                        next_memory = next_memory.add(1);
                        Extern::Memory(memory)
                    }
                })
                .collect();

            let mut room = vec![0_u128; module.layout().bytes().div_ceil(GLOBAL_BYTES)].into_boxed_slice();
            // Instances never meet others, so that a type's number is its place.
            let mut types = 0..;
            let mut type_id = |_: &[u8]| types.next().expect("there are fewer types than numbers");
            let made = rt::Instance::new(store, descriptor, room.as_mut_ptr().cast(), &given, &mut type_id);
            match made {
                Ok(instance) => Ok(Self {
                    code: Arc::clone(code),
                    store,
                    shared,
                    imports,
                    _room: room,
                    instance,
                    table_elements_max,
                    ends_at_ns: signal::nanoseconds_of(ends_at),
                    calls: Vec::new(),
                }),
                Err(error) => {
                    drop((Box::from_raw(store), Box::from_raw(shared), Box::from_raw(imports)));
                    Err(wasmtime::format_err!("cannot make an instance of native code: {error:?}"))
                }
            }
        }
    }

    fn table_bytes(&self) -> usize {
        // SAFETY: the store lives as long as the guest.
        let left = unsafe { (*self.store).limits().table_elements_max };
        (self.table_elements_max - left) * TABLE_ELEMENT_BYTES
    }

    /// Whether its shim asks for something.
    fn asks(&self) -> bool {
        // SAFETY: what is shared lives as long as the guest.
        unsafe { (*self.shared).word(ASKED_AT).read() != 0 }
    }

    /// Does what its shim asks for.
    ///
    /// # Safety
    /// The memories are where they were.
    unsafe fn answer(&mut self) -> wasmtime::Result<()> {
        // SAFETY: what is shared lives as long as the guest; the rest the caller promises.
        unsafe {
            let asked = (*self.shared).word(ASKED_AT).replace(0);
            let number = (*self.shared).word(NUMBER_AT).read() as u32;
            let state = if asked == ENTER { self.enter(number) } else { self.resume(number) };
            (*self.shared).word(STATE_AT).write(state?);
        }
        Ok(())
    }

    /// Begins a call of an export, whose arguments are in the slots, and gives the state it comes to.
    ///
    /// # Safety
    /// As for [`Self::answer`].
    unsafe fn enter(&mut self, export: u32) -> wasmtime::Result<u64> {
        let number = self.calls.iter().position(Option::is_none).unwrap_or(self.calls.len());
        if number >= NATIVE_CALLS_MAX {
            return Err(wasmtime::Trap::StackOverflow.into());
        }
        let (store, instance, shared) = (self.store, self.instance, self.shared);
        // SAFETY: the export is one that there is: shims know no others. The exchange has as many slots as any function
        // needs. What runs on the new stack ends, or is thrown away, before what it uses.
        unsafe {
            let record = self.record(export);
            let mut slots = vec![0; self.code.slots_of_export(export)].into_boxed_slice();
            (*shared).take(&mut slots);
            let to = slots.as_mut_ptr();
            let (stack, trace) = self.code.take_stack()?;
            let coroutine = Coroutine::with_stack(stack, move |yielder, _| {
                (*shared).yielder.set(yielder);
                match record {
                    Some(record) => rt::call(store, &record, to),
                    None => instance.initialize(),
                }
            });
            let call = Call { coroutine, trace, slots, parked: None, waits: Wait::Nothing };
            match self.calls.get_mut(number) {
                Some(place) => *place = Some(call),
                None => self.calls.push(Some(call)),
            }
            self.go_on(number, true)
        }
    }

    /// Goes on with a call for which was done what it waited for.
    ///
    /// # Safety
    /// As for [`Self::answer`].
    unsafe fn resume(&mut self, number: u32) -> wasmtime::Result<u64> {
        let number = number as usize;
        let call = self.calls[number].as_mut().expect("shims resume what waits");
        // SAFETY: native code gave the slots, and waits.
        let done = unsafe {
            match call.waits {
                Wait::Results(slots, len) => {
                    (*self.shared).take(slice::from_raw_parts_mut(slots, len));
                    true
                }
                Wait::Growth => {
                    let mut slots = [0; 2];
                    (*self.shared).take(&mut slots);
                    slots[1] != u64::MAX
                }
                Wait::Nothing => true,
            }
        };
        // SAFETY: the caller promises it.
        unsafe { self.go_on(number, done) }
    }

    unsafe fn go_on(&mut self, number: usize, done: bool) -> wasmtime::Result<u64> {
        let call = self.calls[number].as_mut().expect("it has not ended");
        // SAFETY: the store and what is shared live as long as the guest, and nothing of it runs now.
        let (store, shared) = unsafe { (&mut *self.store, &mut *self.shared) };
        shared.look_at_sizes();
        if let Some((parked, yielder)) = call.parked.take() {
            store.unpark(&parked);
            shared.yielder.set(yielder);
        }
        shared.trace.room.set(call.trace);
        let native = NativeCode {
            text: self.code.text(),
            pause,
            data: self.shared.cast(),
            ends_at_ns: self.ends_at_ns,
            is_over: &raw const shared.is_over,
        };
        let came_to = native.run(self.code.gives_way(), || call.coroutine.resume(done));
        let state = match came_to {
            CoroutineResult::Return(ended) => {
                let call = self.calls[number].take().expect("it ended just now");
                let ended = ended.map_err(|trap| self.error_of(trap));
                self.code.give_stack(call.coroutine.into_stack());
                ended?;
                shared.give(&call.slots);
                DONE
            }
            CoroutineResult::Yield(pause) => {
                call.parked = Some((store.park(), shared.yielder.get()));
                match pause {
                    Pause::Import { number, slots } => {
                        let len = self.code.slots_of_import(number);
                        // SAFETY: native code has room for what its import takes and gives.
                        shared.give(unsafe { slice::from_raw_parts(slots, len) });
                        call.waits = Wait::Results(slots, len);
                        IMPORT + number
                    }
                    Pause::Grow { memory, pages } => {
                        shared.give(&[memory as u64, pages]);
                        call.waits = Wait::Growth;
                        GROW
                    }
                    Pause::Tick => {
                        call.waits = Wait::Nothing;
                        TICK
                    }
                }
            }
        };
        Ok((number as u64) << 32 | u64::from(state))
    }

    /// A trap that the call which ran last came to, and where. Its stack is still there.
    fn error_of(&self, trap: Trap) -> wasmtime::Error {
        let error = wasmtime::Error::from(trap_of(trap));
        // SAFETY: what is shared lives as long as the guest, and the bytes were copied into the room of that stack.
        let backtrace = unsafe {
            let trace = &(*self.shared).trace;
            trace.stopped.take().and_then(|(at, start, len)| {
                let stack = StackPart { start, bytes: slice::from_raw_parts(trace.room.get(), len) };
                self.code.backtrace(&at, &stack)
            })
        };
        match backtrace {
            Some(backtrace) => error.context(backtrace),
            None => error,
        }
    }

    /// What an export calls; nothing for [`BEGIN`].
    unsafe fn record(&self, export: u32) -> Option<FunctionRecord> {
        if export == BEGIN {
            return None;
        }
        // SAFETY: the caller promises that there is such an export, and the instance lives.
        unsafe {
            let exports = (*self.code.descriptor()).exports.get();
            match self.instance.export(&exports[export as usize]) {
                Extern::Function(record) => Some(*record),
                _ => unreachable!("shims call functions"),
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for call in self.calls.drain(..).flatten() {
            let mut coroutine = call.coroutine;
            // SAFETY: frames of native code and of `rt` own nothing.
            unsafe { coroutine.force_reset() };
            self.code.give_stack(coroutine.into_stack());
        }
        // SAFETY: nothing of the instance runs, and nobody else knows what it was made of.
        unsafe {
            self.instance.release();
            drop(Box::from_raw(self.store));
            drop(Box::from_raw(self.shared));
            drop(Box::from_raw(self.imports));
        }
    }
}

impl Shared {
    /// A word of the exchange.
    const fn word(&self, at: usize) -> *mut u64 {
        // SAFETY: the exchange is a page of Wasmtime's.
        unsafe { self.exchange.add(at).cast() }
    }

    /// Copies what is in the exchange to slots.
    fn take(&self, to: &mut [u64]) {
        // SAFETY: the exchange has as many slots as any function needs.
        unsafe { ptr::copy_nonoverlapping(self.word(SLOTS_AT), to.as_mut_ptr(), to.len()) };
    }

    /// Copies slots to the exchange.
    fn give(&self, from: &[u64]) {
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), self.word(SLOTS_AT), from.len()) };
    }

    /// Tells memories how large they are by now, which the shim has written into the exchange.
    fn look_at_sizes(&mut self) {
        let sizes = self.word(SIZES_AT);
        for (index, memory) in self.memories.iter_mut().enumerate() {
            // SAFETY: there is a size for each memory.
            memory.set_pages(unsafe { sizes.add(index).read() });
        }
    }

    /// Whether an address is in a table that is small.
    fn is_small_table(&self, at: *mut u8) -> bool {
        let at = at.cast_const().cast();
        self.tables.borrow().iter().any(|table| table.as_ptr_range().contains(&at))
    }

    /// Leaves the stack of the call that runs now until something is done for it.
    fn pause(&self, why: Pause) -> bool {
        // SAFETY: a call runs, which has said by what it leaves.
        unsafe { (*self.yielder.get()).suspend(why) }
    }
}

/// How native code calls an import.
unsafe extern "C" fn call_import(raw: *mut HostFunction, slots: *mut u64) -> u32 {
    // SAFETY: it is the first part of an `Import`, whose data are what its guest shares.
    unsafe {
        let import = &*raw.cast::<Import>();
        let shared = &*import.raw.data.cast::<Shared>();
        shared.pause(Pause::Import { number: import.number, slots });
    }
    0
}

/// Where native code goes when a signal interrupts it.
extern "C" fn pause(shared: *mut c_void, _: *mut c_void) {
    // SAFETY: native code was interrupted, of a guest that shares this.
    unsafe { (*shared.cast::<Shared>()).pause(Pause::Tick) };
}

impl Platform for Shared {
    fn reserve(&self, bytes: usize) -> *mut u8 {
        if bytes > SMALL_TABLE_BYTES_MAX {
            return Linux::get().reserve(bytes);
        }
        let mut table = vec![0_u128; bytes.div_ceil(size_of::<u128>())].into_boxed_slice();
        let start = table.as_mut_ptr();
        self.tables.borrow_mut().push(table);
        start.cast()
    }

    unsafe fn commit(&self, start: *mut u8, bytes: usize) -> bool {
        match self
            .memories
            .iter()
            .position(|memory| memory.data().cast::<u8>().wrapping_add(memory.data().len()) == start)
        {
            Some(memory) => {
                let pages = bytes as u64 >> self.memories[memory].page_bytes_log2();
                self.pause(Pause::Grow { memory, pages })
            }
            None if self.is_small_table(start) => true,
            // SAFETY: as the trait asks for.
            None => unsafe { Linux::get().commit(start, bytes) },
        }
    }

    unsafe fn release(&self, start: *mut u8, bytes: usize) {
        if !self.is_small_table(start) {
            // SAFETY: as the trait asks for.
            unsafe { Linux::get().release(start, bytes) }
        }
    }

    fn activate(&self, activation: *mut rt::Activation) -> *mut rt::Activation {
        Linux::get().activate(activation)
    }

    fn stopped(&self, at: &Stopped) {
        let room = self.trace.room.get();
        // A stack that is full may end above its pointer, and above what lies there.
        let start = at.stack.max(room as usize + NATIVE_TRACE_BYTES);
        let len = at.stack_end.saturating_sub(start).min(NATIVE_TRACE_BYTES);
        // SAFETY: from there on, all is stack of the call that runs now, and the room below belongs to it too.
        unsafe { ptr::copy_nonoverlapping(start as *const u8, room, len) };
        self.trace.stopped.set(Some((*at, start, len)));
    }
}

/// A trap as Wasmtime names it.
fn trap_of(trap: Trap) -> wasmtime::Trap {
    use wasmtime::Trap as T;
    match trap {
        Trap::Unreachable | Trap::Host => T::UnreachableCodeReached,
        Trap::MemoryOutOfBounds => T::MemoryOutOfBounds,
        Trap::TableOutOfBounds | Trap::UndefinedElement => T::TableOutOfBounds,
        Trap::UninitializedElement => T::IndirectCallToNull,
        Trap::IndirectCallType => T::BadSignature,
        Trap::DivideByZero => T::IntegerDivisionByZero,
        Trap::IntegerOverflow => T::IntegerOverflow,
        Trap::InvalidConversion => T::BadConversionToInteger,
        Trap::StackOverflow => T::StackOverflow,
        Trap::Interrupted => T::Interrupt,
    }
}
