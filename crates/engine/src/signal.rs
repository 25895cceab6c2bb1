//! Interruption for free: a signal that becomes a call of the host, between any two instructions of a program.
//!
//! Code that looks at a clock in its loops is about twice as slow. Here it looks at nothing. A timer signals the thread
//! once every [`SIGNAL_TICK`](crate::limits::SIGNAL_TICK), and seldom while no program runs for as long; where the signal
//! finds it in the code of the program, the thread goes on as if the program had called a function of the host just there:
//! one that lets others run, or ends the program whose time is over. Where it finds the thread in the host on the program's
//! behalf, the return to the program goes through the same call. Then every register is as it was, and the program goes on.
//!
//! That asks for code in which a call may be anywhere. Three proposals do not allow it, and a program that uses one is
//! [refused](crate::Error::Unstoppable) by an engine that stops by signals: tail calls move a frame while it is in use,
//! garbage collection knows what lives only at calls that the compiler made, and exceptions look for their handler in all
//! frames.

use std::ffi::c_void;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::yield_now;
use wasmtime::{Caller, Engine, FrameInfo, Func, InstancePre, Linker, ModuleExport, Store, Trap};

use crate::code::Code;
use crate::limits::Limits;
use crate::meter::{Meter, Metered};
use crate::{Compiled, Program};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod elsewhere;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux_x86_64;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use elsewhere as platform;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use linux_x86_64 as platform;

/// What a program is made to call: the call goes through WebAssembly, for Wasmtime to find the frames it expects.
pub(crate) const HELPER: &str = r#"(module $sampan
    (import "" "tick" (func $tick))
    (func $interrupted (export "tick") call $tick)
    (func (export "count") (param $to i64) (result i64) (local $at i64)
        (loop $on
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br_if $on (i64.lt_u (local.get $at) (local.get $to))))
        local.get $at))"#;

/// Loops of the test, about a tenth of a millisecond, and when they are first interrupted.
const TEST_LOOPS: u64 = 200_000;
/// See [`TEST_LOOPS`].
const TEST_TICK_NS: u64 = 20_000;
/// A busy machine may run another thread just then; a machine on which signals do not work fails every time.
const TESTS_MAX: u32 = 10;

/// Makes the calls of one program interruptible, in any number of stores.
pub struct Interrupts<T: 'static> {
    helper: InstancePre<T>,
    tick: ModuleExport,
    code: Arc<Code>,
}

/// A store whose program can be interrupted while its calls are [watched](Self::watch).
pub struct Interruptible(Arc<platform::Target>);

/// Native code that is not Wasmtime's, and what it is made to call where a signal finds it.
pub(crate) struct NativeCode {
    /// Where its functions lie.
    pub(crate) text: Range<usize>,
    /// Called with `data`, on the stack of the code, which goes on as if nothing had been when it returns, on any thread.
    pub(crate) pause: extern "C" fn(*mut c_void, *mut c_void),
    pub(crate) data: *mut c_void,
    /// When the time of its store is over, as [`nanoseconds_of`] has it, and what is then set to 1.
    pub(crate) ends_at_ns: u64,
    pub(crate) is_over: *const AtomicUsize,
}

impl NativeCode {
    /// Does `work`, which runs the code on this thread; once a slice it is paused, and when its time is over, if it gives way.
    pub(crate) fn run<R>(&self, gives_way: bool, work: impl FnOnce() -> R) -> R {
        let _inside = gives_way.then(|| platform::enter_native(self));
        work()
    }
}

/// Whether this machine has what it takes. Whether it works is seen when [`Interrupts`] are made.
pub(crate) fn is_supported() -> bool {
    platform::is_supported()
}

impl<T: Metered> Interrupts<T> {
    /// For stores of `engine` in which `program` runs. `helper` is [`HELPER`], for the same engine.
    pub(crate) fn new(engine: &Engine, helper: &Program, program: &Program) -> wasmtime::Result<Self> {
        let Compiled::Module(helper) = helper.compiled() else { unreachable!("the helper is a module") };
        let mut linker = Linker::<T>::new(engine);
        linker.func_wrap_async("", "tick", |caller: Caller<'_, T>, ()| Box::new(tick(caller)))?;
        let tick = helper.get_export_index("tick").expect("the helper exports it");
        Ok(Self { helper: linker.instantiate_pre(helper)?, tick, code: Arc::new(Code::of(program)) })
    }

    /// Makes the program's calls in `store` interruptible. They must be asynchronous from now on.
    ///
    /// # Errors
    /// Those of one more small instance.
    pub async fn arm(&self, store: &mut Store<T>) -> wasmtime::Result<Interruptible> {
        let helper = self.helper.instantiate_async(&mut *store).await?;
        let tick = helper.get_module_export(&mut *store, &self.tick).and_then(|export| export.into_func());
        let tick: Func = tick.expect("it is a function");
        let time_max = store.data_mut().meter().ends_at();
        let target = platform::Target::new(tick.to_raw(store), Arc::clone(&self.code), time_max);
        Ok(Interruptible(Arc::new(target)))
    }
}

impl Interruptible {
    /// Runs `calls` of the store's program: once a slice they give way to other tasks, and once the
    /// [time](Limits::time_max) of the store is over they end with [`Trap::Interrupt`].
    ///
    /// All of a call must be watched, from its beginning to its end, and no other of the store's meanwhile.
    pub async fn watch<F: Future>(&self, calls: F) -> F::Output {
        let mut calls = pin!(calls);
        self.0.forget_return();
        std::future::poll_fn(|context| {
            let _inside = platform::enter(&self.0);
            calls.as_mut().poll(context)
        })
        .await
    }
}

/// A moment on the clock that signals are sent by; never, if there is none.
pub(crate) fn nanoseconds_of(moment: Option<Instant>) -> u64 {
    platform::nanoseconds_of(moment)
}

/// Says that the program of this thread keeps no other one waiting: it is never interrupted before its time is over. That
/// is kept as exactly as ever, of a store that is [watched](Interruptible::watch) and of native code.
pub fn run_alone() {
    platform::alone();
}

/// Whether a frame of a backtrace is only there because the program was interrupted.
pub(crate) fn is_interruption(frame: &FrameInfo) -> bool {
    frame.module().name() == Some("sampan") && frame.func_name() == Some("interrupted")
}

/// What an interrupted program calls.
async fn tick<T: Metered>(mut caller: Caller<'_, T>) -> wasmtime::Result<()> {
    if caller.data_mut().meter().is_over() {
        return Err(Trap::Interrupt.into());
    }
    // Others' turns, and what has come for them from outside, go before the next slice.
    yield_now().await;
    Ok(())
}

/// Tests the helper on `engine`: a loop is interrupted, goes on, and ends as if nothing had been.
///
/// # Errors
/// When it does not: this machine, or this build of Wasmtime, is not what this file expects.
pub(crate) fn test(engine: &Engine, helper: &Program) -> wasmtime::Result<()> {
    let interrupts = Interrupts::<Meter>::new(engine, helper, helper)?;
    for _ in 0..TESTS_MAX {
        if is_interrupted(&interrupts)? {
            return Ok(());
        }
    }
    Err(wasmtime::format_err!("no signal interrupts a loop"))
}

/// Whether a loop was interrupted.
///
/// # Errors
/// When it came to another end than its own.
fn is_interrupted(interrupts: &Interrupts<Meter>) -> wasmtime::Result<bool> {
    let mut store = Store::new(interrupts.helper.module().engine(), Meter::new(&Limits::default()));
    let test = async {
        let interruptible = interrupts.arm(&mut store).await?;
        let helper = interrupts.helper.instantiate_async(&mut store).await?;
        let count = helper.get_typed_func::<u64, u64>(&mut store, "count")?;
        let counting = async {
            platform::interrupt_in(TEST_TICK_NS);
            count.call_async(&mut store, TEST_LOOPS).await
        };
        interruptible.watch(counting).await
    };
    let mut test = pin!(test);
    let mut context = Context::from_waker(Waker::noop());
    let mut interruptions = 0;
    loop {
        match test.as_mut().poll(&mut context) {
            Poll::Ready(counted) => match counted? {
                TEST_LOOPS => return Ok(interruptions > 0),
                _ => return Err(wasmtime::format_err!("a loop that was interrupted went wrong")),
            },
            Poll::Pending => interruptions += 1,
        }
    }
}
