//! Whom the code is for.

/// Whom the code is for: the facts that the text of the code depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that LLVM knows it by.
    pub triple: &'static str,
    /// The size of a pointer.
    pub pointer_bytes: usize,
    pub(crate) stack_pointer: &'static str,
    /// The calling convention of native code. All code of a process has the same one.
    pub(crate) convention: &'static str,
}

impl Target {
    /// All that there are.
    pub const ALL: [Self; 1] = [Self {
        triple: "x86_64-unknown-linux-gnu",
        pointer_bytes: 8,
        stack_pointer: "rsp",
        convention: "tailcc",
    }];

    /// The one of this name.
    pub fn new(triple: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.triple == triple)
    }

    /// The one that this very program runs on, if it is among them.
    pub fn host() -> Option<Self> {
        Self::new(&format!("{}-unknown-{}-gnu", std::env::consts::ARCH, std::env::consts::OS))
    }

    /// The type of what is as wide as a pointer.
    pub(crate) const fn word(&self) -> &'static str {
        if self.pointer_bytes == 8 { "i64" } else { "i32" }
    }
}
