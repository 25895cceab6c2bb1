//! The fine print under a profile: `-O key=value`.

use crate::limits::{
    COMPILE_SECONDS, COMPILE_SECONDS_MAX, COMPILE_SECONDS_MIN, CPU_NAME_BYTES_MAX, EGRESS_RATE_MAX,
    EGRESS_RATE_MIN, HANDLES_MAX, HANDLES_MIN, POOL_SLOTS_MAX, PROCESSORS_MAX, PROCESSORS_MIN,
    STACK_BYTES_MAX, STACK_BYTES_MIN, parse_bytes,
};
use crate::{Error, Profile, Settings, shim, signal};

/// How a program's code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codegen {
    /// Machine code by Cranelift.
    Cranelift,
    /// Bytecode for the Pulley interpreter.
    Pulley,
    /// Machine code by LLVM, which takes longer to make and less time to run.
    Native,
}

/// How an access outside a memory is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// By the processor, on guard pages around the memory.
    Guarded,
    /// By a comparison before every access.
    Checked,
    /// Not at all: native code wraps it to an address that is the memory's own.
    Masked,
    /// Not at all, and it may reach anything.
    Unchecked,
}

/// How a running program is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Not at all: the embedder ends the process.
    None,
    /// By a signal to its thread, which costs the program nothing: see [`Interrupts`](crate::Interrupts).
    Signal,
    /// By a check of a clock at every loop and call.
    Epoch,
    /// By counting its instructions.
    Fuel,
}

/// Where instances live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// In slots reserved beforehand, where the machine has the address space; else on demand.
    Auto,
    /// Always on demand.
    Off,
    /// In exactly so many slots.
    Slots(u32),
}

/// Which precompiled files are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precompiled {
    /// Those with this user's own seal.
    Sealed,
    /// Any. Their code runs unchecked: whoever made the file can do what the user can.
    Any,
}

/// How exactly memory is left by native code that a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traps {
    /// As the specification says.
    Precise,
    /// Some of what was written before may be missing.
    Relaxed,
}

/// What becomes of a sealed process where the kernel refuses a layer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It is not begun.
    Required,
    /// It does without.
    BestEffort,
}

/// The settings of one engine: a profile's own, changed by options.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `codegen`
    pub codegen: Codegen,
    /// `bounds`
    pub bounds: Bounds,
    /// `interrupt`
    pub interrupt: Interrupt,
    /// `pool`
    pub pool: Pool,
    /// `deterministic`: one bit pattern for every NaN and relaxed SIMD result, on every machine.
    pub deterministic: bool,
    /// `precompiled`
    pub precompiled: Precompiled,
    /// `cpu`: the processor that native code is for, by the name that LLVM knows.
    pub cpu: String,
    /// `traps`, of native code
    pub traps: Traps,
    /// `compile-seconds`: time of a processor that may be spent to make native code.
    pub compile_seconds: u32,
    /// `seal`
    pub seal: Seal,
    /// `processors`: those whose time a sealed process may use.
    pub processors: Option<f64>,
    /// `egress-rate`: bytes a second that a sealed process may send to the network.
    pub egress_rate: Option<u64>,
}

/// One line of `-O help`.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// The key.
    pub key: &'static str,
    /// The values it takes, the default first where it does not depend on the profile.
    pub values: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// Every option, in the order in which help lists them.
pub const HELP: [Help; 14] = [
    Help {
        key: "codegen",
        values: "cranelift | native | pulley",
        summary: "how code is made (dense: cranelift, portable: pulley, trusted: native, which needs clang)",
    },
    Help {
        key: "bounds",
        values: "guarded | checked | masked | unchecked",
        summary: "how an access outside memory is caught (dense: guarded, portable: checked, trusted: masked)",
    },
    Help {
        key: "interrupt",
        values: "signal | epoch | fuel | none",
        summary: "how a program is stopped: `signal` is free, `epoch` and `fuel` make tight loops twice as slow",
    },
    Help { key: "pool", values: "auto | off | SLOTS", summary: "instances in slots reserved beforehand" },
    Help {
        key: "deterministic",
        values: "no | yes",
        summary: "one result for every NaN and relaxed SIMD instruction, on every machine",
    },
    Help {
        key: "precompiled",
        values: "sealed | any",
        summary: "which precompiled files run: your own, or any (their code is not checked)",
    },
    Help {
        key: "cpu",
        values: "native | NAME",
        summary: "the processor that native code is for, such as x86-64-v3",
    },
    Help {
        key: "traps",
        values: "precise | relaxed",
        summary: "whether memory is exact when a fault ends native code",
    },
    Help {
        key: "compile-seconds",
        values: "COUNT from 1 to 86400",
        summary: "processor time to make native code (300); then Cranelift's is taken",
    },
    Help {
        key: "seal",
        values: "required | best-effort",
        summary: "sealed: whether the program runs where the kernel refuses a layer",
    },
    Help {
        key: "processors",
        values: "COUNT, such as 1.5",
        summary: "sealed: processors whose time it may use (all)",
    },
    Help {
        key: "egress-rate",
        values: "SIZE from 16K to 64G",
        summary: "sealed: bytes a second that it may send to the network (any)",
    },
    Help { key: "stack", values: "SIZE from 64K to 256M", summary: "WebAssembly stack of the program (1M)" },
    Help {
        key: "handles",
        values: "COUNT from 8 to 1000000",
        summary: "files, sockets and other host resources open at once (1024)",
    },
];

impl Options {
    /// What `profile` sets by itself.
    pub fn of(profile: Profile) -> Self {
        let (codegen, bounds) = match profile {
            Profile::Portable => (Codegen::Pulley, Bounds::Checked),
            Profile::Dense | Profile::Sealed => (Codegen::Cranelift, Bounds::Guarded),
            Profile::Trusted => (Codegen::Native, Bounds::Masked),
        };
        Self {
            codegen,
            bounds,
            interrupt: Interrupt::None,
            pool: Pool::Auto,
            deterministic: false,
            precompiled: Precompiled::Sealed,
            cpu: "native".to_owned(),
            traps: Traps::Precise,
            compile_seconds: COMPILE_SECONDS,
            seal: Seal::Required,
            processors: None,
            egress_rate: None,
        }
    }
}

impl Options {
    /// Interrupts by signals, where code and machine allow it.
    pub fn prefer_signals(&mut self) {
        if self.codegen != Codegen::Pulley && signal::is_supported() {
            self.interrupt = Interrupt::Signal;
        }
    }

    /// What native code cannot be asked for.
    fn check_native(&self) -> Result<(), Error> {
        let reason = match self {
            _ if !shim::is_supported() => "needs Linux on x86-64",
            Self { interrupt: Interrupt::Fuel, .. } => "does not count fuel: use `interrupt=signal`",
            Self { deterministic: true, .. } => {
                "has the processor's own NaNs: it goes with `deterministic=no`"
            }
            _ => return Ok(()),
        };
        Err(Error::Option { option: "codegen=native".to_owned(), reason: reason.to_owned() })
    }

    /// Whether the options go together; they are set one by one, in any order.
    pub(crate) fn check(&self, profile: Profile) -> Result<(), Error> {
        let refuse = |option: String, reason: &str| Err(Error::Option { option, reason: reason.to_owned() });
        if (self.codegen, self.interrupt) == (Codegen::Pulley, Interrupt::Signal) {
            return refuse(
                "interrupt=signal".to_owned(),
                "there is no machine code to interrupt: use `epoch`",
            );
        }
        if self.codegen == Codegen::Native {
            return self.check_native();
        }
        let only_native = [(Bounds::Masked, "masked"), (Bounds::Unchecked, "unchecked")];
        if let Some((_, bounds)) = only_native.iter().find(|(bounds, _)| *bounds == self.bounds) {
            let reason = "only native code can: it goes with `codegen=native`";
            return refuse(format!("bounds={bounds}"), reason);
        }
        match (self.codegen, self.bounds, self.pool) {
            (Codegen::Pulley, Bounds::Guarded, _) => {
                let reason = "the interpreter checks every access itself: it goes with `bounds=checked`";
                // The one of the two that was asked for.
                let interprets = Options::of(profile).codegen == Codegen::Pulley;
                refuse(if interprets { "bounds=guarded" } else { "codegen=pulley" }.to_owned(), reason)
            }
            (_, Bounds::Checked, Pool::Slots(slots)) => {
                let reason = "a slot of the pool is made of guard pages: it goes with `bounds=guarded`";
                refuse(format!("pool={slots}"), reason)
            }
            _ => Ok(()),
        }
    }
}

/// Whether this can be the name of a processor.
fn is_cpu(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=CPU_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(known)
}

impl Settings {
    /// Changes one setting, as `key=value` says.
    ///
    /// # Errors
    /// [`Error::Option`] for an unknown key or value, and for one that breaks the promise of the profile. Whether all
    /// options go together is seen when the engine is made.
    pub fn set(&mut self, option: &str) -> Result<(), Error> {
        let refuse = |reason: String| Error::Option { option: option.to_owned(), reason };
        let Some((key, value)) = option.split_once('=') else {
            return Err(refuse("expected `key=value`".to_owned()));
        };
        let Some(help) = HELP.iter().find(|help| help.key == key) else {
            let keys = HELP.map(|help| help.key).join(", ");
            return Err(refuse(format!("unknown key; the keys are {keys}")));
        };
        let malformed = || refuse(format!("expected {}", help.values));
        let options = &mut self.options;
        match (key, value) {
            ("codegen", "cranelift" | "native") if self.profile == Profile::Portable => {
                return Err(refuse("profile `portable` promises to make no machine code".to_owned()));
            }
            ("codegen", "cranelift") => options.codegen = Codegen::Cranelift,
            ("codegen", "pulley") => {
                options.codegen = Codegen::Pulley;
                // There is no machine code to interrupt.
                if options.interrupt == Interrupt::Signal {
                    options.interrupt = Interrupt::Epoch;
                }
            }
            ("bounds", "guarded") => options.bounds = Bounds::Guarded,
            ("bounds", "checked") => options.bounds = Bounds::Checked,
            ("bounds", "masked") => options.bounds = Bounds::Masked,
            ("bounds", "unchecked") if self.profile != Profile::Trusted => {
                return Err(refuse(format!("profile `{}` promises isolation", self.profile)));
            }
            ("bounds", "unchecked") => options.bounds = Bounds::Unchecked,
            ("codegen", "native") => options.codegen = Codegen::Native,
            ("cpu", name) if is_cpu(name) => name.clone_into(&mut options.cpu),
            ("traps", "precise") => options.traps = Traps::Precise,
            ("traps", "relaxed") => options.traps = Traps::Relaxed,
            ("compile-seconds", count) => match count.parse() {
                Ok(count @ COMPILE_SECONDS_MIN..=COMPILE_SECONDS_MAX) => options.compile_seconds = count,
                _ => return Err(malformed()),
            },
            ("interrupt", "none") => options.interrupt = Interrupt::None,
            ("interrupt", "signal") if !signal::is_supported() => {
                return Err(refuse("needs Linux on x86-64; `epoch` works everywhere".to_owned()));
            }
            ("interrupt", "signal") => options.interrupt = Interrupt::Signal,
            ("interrupt", "epoch") => options.interrupt = Interrupt::Epoch,
            ("interrupt", "fuel") => options.interrupt = Interrupt::Fuel,
            ("pool", "auto") => options.pool = Pool::Auto,
            ("pool", "off") => options.pool = Pool::Off,
            ("pool", slots) => match slots.parse() {
                Ok(slots @ 1..=POOL_SLOTS_MAX) => options.pool = Pool::Slots(slots),
                _ => return Err(malformed()),
            },
            ("deterministic", "yes") => options.deterministic = true,
            ("deterministic", "no") => options.deterministic = false,
            ("precompiled", "sealed") => options.precompiled = Precompiled::Sealed,
            ("precompiled", "any") => options.precompiled = Precompiled::Any,
            ("seal" | "processors" | "egress-rate", _) if self.profile != Profile::Sealed => {
                return Err(refuse(
                    "only a program under profile `sealed` has a process of its own".to_owned(),
                ));
            }
            ("seal", "required") => options.seal = Seal::Required,
            ("seal", "best-effort") => options.seal = Seal::BestEffort,
            ("processors", count) => match count.parse() {
                Ok(count) if (PROCESSORS_MIN..=PROCESSORS_MAX).contains(&count) => {
                    options.processors = Some(count)
                }
                _ => return Err(malformed()),
            },
            ("egress-rate", size) => match parse_bytes(size).map(|bytes| bytes as u64) {
                Some(rate @ EGRESS_RATE_MIN..=EGRESS_RATE_MAX) => options.egress_rate = Some(rate),
                _ => return Err(malformed()),
            },
            ("stack", size) => match parse_bytes(size) {
                Some(bytes @ STACK_BYTES_MIN..=STACK_BYTES_MAX) => self.limits.stack_bytes_max = bytes,
                _ => return Err(malformed()),
            },
            ("handles", count) => match count.parse() {
                Ok(count @ HANDLES_MIN..=HANDLES_MAX) => self.limits.handles_max = count,
                _ => return Err(malformed()),
            },
            _ => return Err(malformed()),
        }
        Ok(())
    }
}
