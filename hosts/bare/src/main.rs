//! The smallest firmware that runs a program: fixed memory, no operating system, no allocator. It says what it sees to
//! the debugger, by semihosting, so that an emulator shows it.
#![no_std]
#![no_main]

#[cfg(target_arch = "arm")]
#[path = "arm.rs"]
mod machine;
#[cfg(target_arch = "riscv32")]
#[path = "riscv32.rs"]
mod machine;

mod semihosting;

use core::panic::PanicInfo;
use core::ptr;

use rt::abi::{FunctionRecord, Header, HostFunction, Module};
use rt::{BUILTINS, Bare, Extern, Instance, Limits, Memory, Platform, Store, Trap};

/// What the memories, tables and the instance of the program have together.
const ROOM_BYTES: usize = 4 << 10;

#[repr(align(16))]
struct Room(#[expect(dead_code, reason = "only its address is used")] [u8; ROOM_BYTES]);

static mut ROOM: Room = Room([0; ROOM_BYTES]);

const LIMITS: Limits =
    Limits { memory_bytes_max: ROOM_BYTES, table_elements_max: 16, stack_bytes_max: 16 << 10 };

unsafe extern "C" {
    /// What the object says of the program.
    #[link_name = "sampan_module_hello"]
    static MODULE: Module;
}

/// Where the machine begins, with a stack.
extern "C" fn main() -> ! {
    // SAFETY: nobody else uses the room. The module is what `aot` wrote. This frame, and the platform in it, lives until
    // the machine ends.
    let done = unsafe {
        let platform = Bare::new((&raw mut ROOM).cast(), ROOM_BYTES);
        let platform = &raw const platform;
        run(&*platform, &MODULE)
    };
    semihosting::exit(done.is_some())
}

/// Does what the program can, and says what comes of it; `None` if that is not what must come.
unsafe fn run(platform: &'static Bare, module: &'static Module) -> Option<()> {
    // SAFETY: all that the store's instance needs lives as long as this frame, and
    // the slots of each call are as many as its type needs.
    unsafe {
        let mut store = Store::new(platform, LIMITS, ptr::null());
        let store = &raw mut store;
        let mut print = HostFunction {
            header: Header { builtins: &BUILTINS, store, module: ptr::null(), next: ptr::null_mut() },
            call: print,
            data: ptr::null_mut(),
        };
        let print = &raw mut print;
        let signature = module.types.get().iter().find(|of| of.signature.get() == b"ii:")?;
        let type_id = number(signature.signature.get());
        let imports = [Extern::Host { function: print, type_id }];

        let bytes = module.layout().bytes();
        let room = platform.reserve(bytes);
        if room.is_null() || !platform.commit(room, bytes) {
            return None;
        }
        let instance = Instance::new(store, module, room, &imports, &mut |of| number(of)).ok()?;
        instance.initialize().ok()?;
        let program = Program { store, module, instance };
        let Extern::Memory(memory) = program.export("memory")? else { return None };
        (*print).data = memory.cast();

        program.call("hello", &mut []).ok()?;
        let mut slots = [24];
        program.call("fibonacci", &mut slots).ok()?;
        say(if slots == [46_368] { "fibonacci: right\n" } else { "fibonacci: wrong\n" });
        let mut slots = [5_f64.to_bits()];
        program.call("half", &mut slots).ok()?;
        say(if slots == [2.5_f64.to_bits()] { "half: right\n" } else { "half: wrong\n" });
        for (name, mut slots) in [("divide", [7, 0]), ("load", [1021, 0]), ("down", [0, 0])] {
            say(name);
            say(match program.call(name, &mut slots) {
                Ok(()) => ": no trap\n",
                Err(Trap::DivideByZero) => ": integer divide by zero\n",
                Err(Trap::MemoryOutOfBounds) => ": out of bounds memory access\n",
                Err(Trap::StackOverflow) => ": call stack exhausted\n",
                Err(_) => ": another trap\n",
            });
        }
        Some(())
    }
}

/// Types of one module differ if and only if their addresses do.
fn number(signature: &[u8]) -> usize {
    signature.as_ptr() as usize
}

struct Program {
    store: *mut Store,
    module: &'static Module,
    instance: Instance,
}

impl Program {
    unsafe fn export(&self, name: &str) -> Option<Extern> {
        // SAFETY: the instance is one of the module.
        unsafe {
            let export = self.module.exports.get().iter().find(|of| of.name.get() == name.as_bytes())?;
            Some(self.instance.export(export))
        }
    }

    unsafe fn call(&self, name: &str, slots: &mut [u64]) -> Result<(), Trap> {
        // SAFETY: the caller has as many slots as the function's type needs.
        unsafe {
            let Some(Extern::Function(record)) = self.export(name) else { return Err(Trap::Host) };
            let record: &FunctionRecord = &*record;
            rt::call(self.store, record, slots.as_mut_ptr())
        }
    }
}

/// What the program imports: says bytes of its memory.
unsafe extern "C" fn print(host: *mut HostFunction, slots: *mut u64) -> u32 {
    // SAFETY: `data` is the program's memory, which does not change while this runs; the type has two parameters.
    unsafe {
        let memory = (*host).data.cast::<Memory>();
        let (start, count) = (*slots as u32 as usize, *slots.add(1) as u32 as usize);
        let bytes = &*(*memory).data();
        match start.checked_add(count).and_then(|end| bytes.get(start..end)).map(str::from_utf8) {
            Some(Ok(text)) => say(text),
            _ => return Trap::Host as u32,
        }
        0
    }
}

fn say(text: &str) {
    semihosting::write(text.as_bytes());
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    semihosting::exit(false)
}
