//! Why native code could not be loaded, linked or run to its end.

use rt::Trap;

/// Why native code could not be loaded, linked or run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no object that can be loaded.
    #[error("cannot load the native object: {0}")]
    Load(String),
    /// The object was made by another version of this program.
    #[error("the native object is of another version")]
    Version,
    /// An import is missing, or what was given for it has another type.
    #[error("incompatible import type for `{module}.{name}`")]
    Import {
        /// Where it is imported from.
        module: String,
        /// What it is called there.
        name: String,
    },
    /// Memories or tables exceed the limits of the store, or what there is.
    #[error("a memory or table exceeds what the store may use")]
    Resources,
    /// A function is called with arguments that are not those of its type.
    #[error("the arguments do not fit the function's type")]
    Arguments,
    /// Native code trapped.
    #[error("{0}")]
    Trap(Trap),
    /// A function of the host failed.
    #[error("a host function failed")]
    Host(#[source] Box<dyn std::error::Error + Send + Sync>),
}
