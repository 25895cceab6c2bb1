//! Shared objects in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;

use super::elf::Image;
use super::error::Error;
use super::frames::StackPart;
use rt::Stopped;
use rt::abi::{self, List};

/// A shared object that has been loaded.
#[derive(Debug)]
pub struct Object(Image);

/// A module of a loaded object.
#[derive(Clone, Debug)]
pub struct Module {
    object: Arc<Object>,
    name: String,
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
        Ok(Module { object: Arc::clone(self), name: name.to_owned(), descriptor: descriptor.cast() })
    }
}

impl Module {
    pub(crate) const fn descriptor(&self) -> *const abi::Module {
        self.descriptor
    }

    /// The numbers of its functions that were running when a trap stopped them, the innermost first and so many at most,
    /// and whether these are all.
    pub(crate) fn running(&self, at: &Stopped, stack: &StackPart<'_>, most: usize) -> (Vec<u32>, bool) {
        let object = &self.object.0;
        // Three are of no function of WebAssembly: what traps call, what code is entered through, and who calls that.
        let addresses = object.frames(at, stack, most + 3);
        let is_whole = addresses.last().is_some_and(|last| !object.contains(*last));
        let functions = addresses.into_iter().filter_map(|address| object.function_at(address));
        let own = functions.filter(|(module, _)| *module == self.name).map(|(_, number)| number);
        let mut own: Vec<u32> = own.collect();
        let is_whole = is_whole && own.len() <= most;
        own.truncate(most);
        (own, is_whole)
    }

    /// What those of these functions are called that have a name, as `aot` has put it down for guests; of each so many
    /// bytes at most.
    pub(crate) fn names_of(&self, functions: &[u32], bytes_max: usize) -> BTreeMap<u32, String> {
        let wanted: BTreeSet<u32> = functions.iter().copied().collect();
        let mut names = BTreeMap::new();
        let Some(mut at) = self.object.0.address(&format!("sampan_names_{}", self.name)) else {
            return names;
        };
        loop {
            // SAFETY: the object is as `aot` and clang made it: entries, and one that has the largest number and nothing else.
            unsafe {
                let number = at.cast::<u32>().read_unaligned();
                if number == u32::MAX {
                    return names;
                }
                let len = at.add(4).cast::<u32>().read_unaligned() as usize;
                if wanted.contains(&number) {
                    let name = slice::from_raw_parts(at.add(8), len.min(bytes_max));
                    names.entry(number).or_insert_with(|| String::from_utf8_lossy(name).into_owned());
                }
                at = at.add(8 + len);
            }
        }
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
