//! What a program that became a library for C stands on: instances that come and go, calls by number, and nothing of
//! Rust's that the product would have to bring. `sampan` has it as an archive and links it into each library; what C sees
//! of it is written by `aot::library`.
//!
//! All names end in the same way in each library but begin in one of its own: the zeros are replaced, so that two libraries
//! have two of these.
#![no_std]

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "bare.rs")]
mod machine;

use core::alloc::Layout as Room;
use core::ffi::c_void;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{ptr, slice};

use rt::abi::{Export, GLOBAL_BYTES, Header, HostFunction, Kind, Module};
use rt::{BUILTINS, Extern, Instance, Limits, LinkError, Platform, Store, Trap};

use machine::Running;

/// Why there is no instance: beside the traps that end its initialization.
const ERROR_IMPORT: u32 = 64;
const ERROR_RESOURCES: u32 = 65;
const ERROR_VERSION: u32 = 66;

/// A function of the product, as C has it: arguments and results in slots; the code of a trap, or 0.
type Function = unsafe extern "C" fn(*mut Embedded, *mut u64) -> u32;

/// What an instance may use up; nothing stands for what is usual.
#[repr(C)]
pub struct LimitsOfC {
    memory_bytes_max: usize,
    table_elements_max: usize,
    stack_bytes_max: usize,
}

const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// What the product gives to a new instance.
#[repr(C)]
pub struct Given {
    /// One for each function that the module imports.
    functions: *const Function,
    functions_len: usize,
    /// What [`imports`] gives back: a copy is kept.
    imports: *const c_void,
    imports_bytes: usize,
    limits: *const LimitsOfC,
    /// Where everything is to lie, for machines without pages.
    room: *mut u8,
    room_bytes: usize,
}

/// An instance and all that belongs to it, at the start of the memory that they share.
pub struct Embedded {
    store: Store,
    platform: &'static dyn Platform,
    instance: Option<Instance>,
    module: *const Module,
    imports: *const c_void,
    /// Not 0 if its code is to stop.
    interrupted: AtomicUsize,
    running: Running,
    /// How many calls of its code have not ended.
    calls: usize,
    bytes: usize,
}

/// What stands behind an import.
struct Import {
    host: HostFunction,
    embedded: *mut Embedded,
    function: Function,
}

/// Where the parts of that memory lie.
struct Parts {
    imports: usize,
    externs: usize,
    given: usize,
    instance: usize,
    whole: Room,
}

impl Parts {
    fn new(functions_len: usize, given_bytes: usize, instance_bytes: usize) -> Option<Self> {
        let whole = Room::new::<Embedded>();
        let (whole, imports) = whole.extend(Room::array::<Import>(functions_len).ok()?).ok()?;
        let (whole, externs) = whole.extend(Room::array::<Extern>(functions_len).ok()?).ok()?;
        let aligned = |bytes| Room::from_size_align(bytes, GLOBAL_BYTES).ok();
        let (whole, given) = whole.extend(aligned(given_bytes)?).ok()?;
        let (whole, instance) = whole.extend(aligned(instance_bytes)?).ok()?;
        Some(Self { imports, externs, given, instance, whole })
    }
}

/// Makes an instance, and initializes it; 0, a trap or an error.
///
/// # Safety
/// The module is what `aot` wrote; what is given is what its header asks for.
#[unsafe(export_name = "sampan_0000000000000000_new")]
pub unsafe extern "C" fn new(module: *const Module, given: &Given, made: *mut *mut Embedded) -> u32 {
    // SAFETY: the caller promises it.
    unsafe {
        *made = ptr::null_mut();
        if (*module).abi_version != rt::abi::ABI_VERSION {
            return ERROR_VERSION;
        }
        let Some(platform) = machine::platform(given.room, given.room_bytes) else { return ERROR_RESOURCES };
        let parts = Parts::new(given.functions_len, given.imports_bytes, (*module).layout().bytes());
        let Some(parts) = parts else { return ERROR_RESOURCES };
        let bytes = parts.whole.size();
        let room = platform.reserve(bytes);
        if room.is_null() {
            return ERROR_RESOURCES;
        }
        let of: *mut Embedded = room.cast();
        if !platform.commit(room, bytes) {
            platform.release(room, bytes);
            return ERROR_RESOURCES;
        }
        let store = Store::new(platform, limits(given.limits), &raw const (*of).interrupted);
        let imports = room.add(parts.given);
        ptr::copy_nonoverlapping(given.imports.cast(), imports, given.imports_bytes);
        of.write(Embedded {
            store,
            platform,
            instance: None,
            module,
            imports: imports.cast(),
            interrupted: AtomicUsize::new(0),
            running: Running::new(),
            calls: 0,
            bytes,
        });
        let code = initialize(of, given, room, &parts);
        match code {
            0 => *made = of,
            _ => free(of),
        }
        code
    }
}

/// Links the instance and initializes it.
unsafe fn initialize(of: *mut Embedded, given: &Given, room: *mut u8, parts: &Parts) -> u32 {
    // SAFETY: `new` has made room for all of it.
    unsafe {
        let (module, store) = (&*(*of).module, &raw mut (*of).store);
        let imported = module.imports.get();
        let are_functions = imported.iter().all(|import| import.kind == Kind::Function);
        if imported.len() != given.functions_len || !are_functions {
            return ERROR_IMPORT;
        }
        let imports: *mut Import = room.add(parts.imports).cast();
        let externs: *mut Extern = room.add(parts.externs).cast();
        for (index, import) in imported.iter().enumerate() {
            let header = Header { builtins: &BUILTINS, store, module: ptr::null(), next: ptr::null_mut() };
            let at = imports.add(index);
            let host = HostFunction { header, call: call_import, data: at.cast() };
            at.write(Import { host, embedded: of, function: *given.functions.add(index) });
            let of_type = &module.types.get()[module.functions.get()[import.index].type_index];
            let type_id = number(of_type.signature.get());
            externs.add(index).write(Extern::Host { function: &raw mut (*at).host, type_id });
        }
        let externs = slice::from_raw_parts(externs, imported.len());
        match Instance::new(store, module, room.add(parts.instance), externs, &mut number) {
            Ok(instance) => {
                (*of).instance = Some(instance);
                run(of, |_| instance.initialize())
            }
            Err(LinkError::AbiVersion) => ERROR_VERSION,
            Err(LinkError::Import(_)) => ERROR_IMPORT,
            Err(LinkError::Resources) => ERROR_RESOURCES,
        }
    }
}

/// What the store calls a type: those of one module differ if and only if their addresses do.
fn number(signature: &[u8]) -> usize {
    signature.as_ptr() as usize
}

/// What is usual stands for each limit that is not given.
unsafe fn limits(of: *const LimitsOfC) -> Limits {
    let or = |given: usize, usual| if given == 0 { usual } else { given };
    // SAFETY: it is null or what the header says.
    let of = unsafe { of.as_ref() };
    Limits {
        memory_bytes_max: or(of.map_or(0, |of| of.memory_bytes_max), machine::MEMORY_BYTES_MAX),
        table_elements_max: or(of.map_or(0, |of| of.table_elements_max), TABLE_ELEMENTS_MAX),
        stack_bytes_max: or(of.map_or(0, |of| of.stack_bytes_max), machine::STACK_BYTES_MAX),
    }
}

/// Gives everything back that belongs to an instance, unless code of it runs: then nothing happens.
///
/// # Safety
/// It is null or one that [`new`] made, and not used any more.
#[unsafe(export_name = "sampan_0000000000000000_free")]
pub unsafe extern "C" fn free(of: *mut Embedded) {
    // SAFETY: the caller promises it.
    unsafe {
        if of.is_null() || (*of).calls != 0 {
            return;
        }
        if let Some(instance) = &(*of).instance {
            instance.release();
        }
        let (platform, bytes) = ((*of).platform, (*of).bytes);
        platform.release(of.cast(), bytes);
    }
}

/// Calls an exported function by its number among the exports; 0 or a trap.
///
/// # Safety
/// The instance lives, no other thread uses it, and the slots are as many as the function's type needs.
#[unsafe(export_name = "sampan_0000000000000000_call")]
pub unsafe extern "C" fn call(of: *mut Embedded, export: usize, slots: *mut u64) -> u32 {
    // SAFETY: the caller promises it.
    unsafe {
        match exported(of, export) {
            Some(Extern::Function(record)) => run(of, |store| rt::call(store, &*record, slots)),
            _ => Trap::Host as u32,
        }
    }
}

/// Runs code of the instance, which knows meanwhile on which thread.
unsafe fn run(of: *mut Embedded, code: impl FnOnce(*mut Store) -> Result<(), Trap>) -> u32 {
    // SAFETY: the instance lives; it is not freed while code of it runs.
    unsafe {
        let before = (*of).running.enter();
        (*of).calls += 1;
        // Whoever asks from here on finds the thread; whoever asked earlier is found here.
        let done = if is_interrupted(of) { Err(Trap::Interrupted) } else { code(&raw mut (*of).store) };
        (*of).calls -= 1;
        (*of).running.leave(before);
        done.map_or_else(|trap| trap as u32, |()| 0)
    }
}

/// How native code calls a function of the product.
unsafe extern "C" fn call_import(host: *mut HostFunction, slots: *mut u64) -> u32 {
    // SAFETY: `data` is the import itself, which lives as long as its instance.
    unsafe {
        let import: *mut Import = (*host).data.cast();
        let code = ((*import).function)((*import).embedded, slots);
        match Trap::from_code(code) {
            // A signal that came meanwhile did nothing.
            None if code == 0 && is_interrupted((*import).embedded) => Trap::Interrupted as u32,
            None if code == 0 => 0,
            Some(_) => code,
            // What is no trap must not be taken for success.
            None => Trap::Host as u32,
        }
    }
}

/// The copy of what was given for the imports.
///
/// # Safety
/// The instance lives.
#[unsafe(export_name = "sampan_0000000000000000_imports")]
pub unsafe extern "C" fn imports(of: *mut Embedded) -> *const c_void {
    // SAFETY: the caller promises it.
    unsafe { (*of).imports }
}

/// Where an exported memory begins, which never changes, and how many bytes it has.
///
/// # Safety
/// The instance lives.
#[unsafe(export_name = "sampan_0000000000000000_memory")]
pub unsafe extern "C" fn memory(of: *mut Embedded, export: usize, bytes: &mut usize) -> *mut u8 {
    // SAFETY: the caller promises it.
    match unsafe { exported(of, export) } {
        Some(Extern::Memory(memory)) => {
            // SAFETY: a memory lives as long as its instance.
            let data = unsafe { (*memory).data() };
            *bytes = data.len();
            data.cast()
        }
        _ => {
            *bytes = 0;
            ptr::null_mut()
        }
    }
}

/// Where the value of an exported global is.
///
/// # Safety
/// The instance lives.
#[unsafe(export_name = "sampan_0000000000000000_global")]
pub unsafe extern "C" fn global(of: *mut Embedded, export: usize) -> *mut u8 {
    // SAFETY: the caller promises it.
    match unsafe { exported(of, export) } {
        Some(Extern::Global { cell, .. }) => cell,
        _ => ptr::null_mut(),
    }
}

unsafe fn exported(of: *mut Embedded, export: usize) -> Option<Extern> {
    // SAFETY: the instance lives, and so its module.
    unsafe {
        let export: &Export = (*(*of).module).exports.get().get(export)?;
        let instance = &(*of).instance;
        Some(instance.as_ref()?.export(export))
    }
}

/// Asks code of the instance to stop, now and whenever it is called later. True if it still runs: ask again.
///
/// # Safety
/// The instance lives. Any thread may ask.
#[unsafe(export_name = "sampan_0000000000000000_interrupt")]
pub unsafe extern "C" fn interrupt(of: *mut Embedded) -> bool {
    // SAFETY: the caller promises it.
    unsafe {
        (*of).interrupted.store(1, Ordering::SeqCst);
        (*of).running.look()
    }
}

/// Lets code of the instance run again.
///
/// # Safety
/// The instance lives. Any thread may ask.
#[unsafe(export_name = "sampan_0000000000000000_resume")]
pub unsafe extern "C" fn resume(of: *mut Embedded) {
    // SAFETY: the caller promises it.
    unsafe { (*of).interrupted.store(0, Ordering::SeqCst) };
}

unsafe fn is_interrupted(of: *mut Embedded) -> bool {
    // SAFETY: the instance lives.
    unsafe { (*of).interrupted.load(Ordering::SeqCst) != 0 }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    machine::abort()
}
