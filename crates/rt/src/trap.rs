//! Why native code stops before it returns.

use core::fmt;

macro_rules! traps {
    ($($name:ident = $code:literal $words:literal,)*) => {
        /// Why native code stopped before it returned. The words are those of the specification's tests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Trap {
            $(#[doc = $words] $name = $code,)*
        }

        impl Trap {
            /// The trap of a code that native code gave; 0 is none.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for Trap {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $words,)*
                })
            }
        }
    };
}

traps! {
    Unreachable = 1 "unreachable",
    MemoryOutOfBounds = 2 "out of bounds memory access",
    TableOutOfBounds = 3 "out of bounds table access",
    UndefinedElement = 4 "undefined element",
    UninitializedElement = 5 "uninitialized element",
    IndirectCallType = 6 "indirect call type mismatch",
    DivideByZero = 7 "integer divide by zero",
    IntegerOverflow = 8 "integer overflow",
    InvalidConversion = 9 "invalid conversion to integer",
    StackOverflow = 10 "call stack exhausted",
    Interrupted = 11 "interrupted",
    Host = 12 "a host function failed",
}

impl core::error::Error for Trap {}
