//! Whom the code is for.

use crate::clang::VERSION_OLDEST;

/// Whom the code is for: the facts that the text of the code depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that Rust knows it by.
    pub triple: &'static str,
    /// The size of a pointer.
    pub pointer_bytes: usize,
    /// What all of its processors have, as [`crate::Clang::compile`] is told.
    pub cpu: &'static str,
    /// What LLVM knows it by.
    pub(crate) llvm: &'static str,
    pub(crate) stack_pointer: &'static str,
    /// The calling convention of native code. All code of a process has the same one.
    pub(crate) convention: &'static str,
    /// Whether there are pages that can be kept from being accessed.
    pub(crate) has_pages: bool,
    /// The oldest clang whose code touches each page of a large frame, so that none reaches past a page that guards the end
    /// of the stack. Older ones say nothing, and do not.
    pub(crate) clang_oldest: u32,
    /// What makes a number in 64 bits, `$0`, another one, `$3`, unless it is less than a third, `$2`, without a branch.
    pub(crate) choose: Option<&'static str>,
    /// Whether it has instructions for the smaller and larger of two numbers, and for the nearest whole ones.
    pub(crate) has_float_units: bool,
}

const X86_64: Target = Target {
    triple: "x86_64-unknown-linux-gnu",
    pointer_bytes: 8,
    cpu: "x86-64",
    llvm: "x86_64-unknown-linux-gnu",
    stack_pointer: "rsp",
    convention: TAIL_CALLS,
    has_pages: true,
    choose: Some("cmpq $2, $0\\0Acmovaeq $3, $0"),
    clang_oldest: VERSION_OLDEST,
    has_float_units: true,
};

/// A convention in which every call can be a tail call. Not all targets of LLVM have it.
const TAIL_CALLS: &str = "tailcc";

impl Target {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        X86_64,
        Self {
            triple: "aarch64-unknown-linux-gnu",
            cpu: "armv8-a",
            llvm: "aarch64-unknown-linux-gnu",
            stack_pointer: "sp",
            choose: None,
            ..X86_64
        },
        Self {
            triple: "riscv64gc-unknown-linux-gnu",
            cpu: "rv64gc",
            llvm: "riscv64-unknown-linux-gnu",
            stack_pointer: "sp",
            convention: "fastcc",
            choose: None,
            clang_oldest: 22,
            has_float_units: false,
            ..X86_64
        },
        Self {
            triple: "thumbv7em-none-eabihf",
            pointer_bytes: 4,
            cpu: "armv7e-m+fp",
            llvm: "thumbv7em-unknown-none-eabihf",
            stack_pointer: "sp",
            convention: TAIL_CALLS,
            has_pages: false,
            choose: None,
            clang_oldest: VERSION_OLDEST,
            has_float_units: false,
        },
        Self {
            triple: "riscv32imac-unknown-none-elf",
            pointer_bytes: 4,
            cpu: "rv32imac",
            llvm: "riscv32-unknown-none-elf",
            stack_pointer: "sp",
            convention: "fastcc",
            has_pages: false,
            choose: None,
            clang_oldest: VERSION_OLDEST,
            has_float_units: false,
        },
    ];

    /// The one of this name, which may be Rust's or LLVM's.
    pub fn new(triple: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.triple == triple || target.llvm == triple)
    }

    /// The one that this very program runs on, if it is among them.
    pub fn host() -> Option<Self> {
        Self::new(&format!("{}-unknown-{}-gnu", std::env::consts::ARCH, std::env::consts::OS))
    }

    /// The type of what is as wide as a pointer.
    pub(crate) const fn word(&self) -> &'static str {
        if self.pointer_bytes == 8 { "i64" } else { "i32" }
    }

    /// The largest number that is as wide as a pointer.
    pub(crate) const fn word_max(&self) -> u64 {
        if self.pointer_bytes == 8 { u64::MAX } else { u32::MAX as u64 }
    }

    pub(crate) fn has_tail_calls(&self) -> bool {
        self.convention == TAIL_CALLS
    }
}
