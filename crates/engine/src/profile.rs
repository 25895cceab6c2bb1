//! The dial: which of performance, isolation and efficiency a workload keeps.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A named position of the dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Isolation and efficiency: Cranelift code behind guard pages, pooled copy-on-write instances.
    #[default]
    Dense,
    /// Isolation and performance: an operating-system process of its own.
    Sealed,
    /// Performance and efficiency: native code with relaxed bounds checks, for programs on a trust list, which whoever makes
    /// the engine has asked.
    Trusted,
    /// Reach: the Pulley interpreter; no machine code is made at run time.
    Portable,
}

impl Profile {
    /// Every profile, in the order in which help lists them.
    pub const ALL: [Profile; 4] = [Profile::Dense, Profile::Sealed, Profile::Trusted, Profile::Portable];

    /// The name a user types.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Dense => "dense",
            Profile::Sealed => "sealed",
            Profile::Trusted => "trusted",
            Profile::Portable => "portable",
        }
    }

    /// One line for help: what the profile keeps and what it pays.
    pub fn summary(self) -> &'static str {
        match self {
            Profile::Dense => {
                "isolation + efficiency: compiled code, guard pages, pooled instances (default)"
            }
            Profile::Sealed => "isolation + performance: a process of its own, which can do nothing else",
            Profile::Trusted => {
                "performance + efficiency: native code with relaxed checks, for programs that you trust"
            }
            Profile::Portable => "reach: an interpreter, no machine code made at run time",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Profile::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| Error::UnknownProfile(name.to_owned()))
    }
}
