//! Shared objects in this process.

use std::sync::Arc;

use super::elf::Image;
use super::error::Error;
use rt::abi::{self, List};

/// A shared object that has been loaded.
#[derive(Debug)]
pub struct Object(Image);

/// A module of a loaded object.
#[derive(Clone, Debug)]
pub struct Module {
    _object: Arc<Object>,
    descriptor: *const abi::Module,
}

// SAFETY: a descriptor is constant.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Object {
    /// Loads an object from its bytes.
    ///
    /// # Safety
    /// The bytes are what `aot` and clang made of modules, and nobody has changed them.
    pub unsafe fn load(bytes: &[u8]) -> Result<Arc<Self>, Error> {
        // SAFETY: the caller promises it.
        let image = unsafe { Image::map(bytes) };
        Ok(Arc::new(Self(image.map_err(|error| Error::Load(error.to_string()))?)))
    }

    /// A module of the object, by the name that [`aot::Assembly::add`](../../aot/struct.Assembly.html) was given.
    pub fn module(self: &Arc<Self>, name: &str) -> Result<Module, Error> {
        let symbol = format!("sampan_module_{name}");
        let descriptor =
            self.0.address(&symbol).ok_or_else(|| Error::Load(format!("it has no `{symbol}`")))?;
        Ok(Module { _object: Arc::clone(self), descriptor: descriptor.cast() })
    }
}

impl Module {
    pub(crate) const fn descriptor(&self) -> *const abi::Module {
        self.descriptor
    }

    /// What it imports: the module and name of each.
    pub fn imports(&self) -> Vec<(&str, &str)> {
        // SAFETY: the descriptor lives as long as the object, which `self` keeps.
        let imports = unsafe { (*self.descriptor).imports.get() };
        imports.iter().map(|import| (text(&import.module), text(&import.name))).collect()
    }

    /// The names of what it exports.
    pub fn exports(&self) -> Vec<&str> {
        // SAFETY: as above.
        let exports = unsafe { (*self.descriptor).exports.get() };
        exports.iter().map(|export| text(&export.name)).collect()
    }
}

/// A name of a descriptor.
pub(super) fn text<'a>(of: &List<u8>) -> &'a str {
    // SAFETY: names are lists of the descriptor, which outlives whoever asks.
    std::str::from_utf8(unsafe { of.get() }).expect("names of a valid module are text")
}
