//! Shared objects in this process.

use std::ffi::{CStr, CString, c_void};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::sync::Arc;

use super::error::Error;
use rt::abi::{self, List};

/// A shared object that has been loaded.
#[derive(Debug)]
pub struct Object {
    handle: *mut c_void,
    /// The loader knows an object by its file's name, which must not become another's.
    _file: std::fs::File,
}

// SAFETY: a loaded object is constant; the loader's functions may be called by any thread.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

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
        // SAFETY: the name is a string; the new descriptor is nobody else's.
        let mut file = unsafe {
            let descriptor = libc::memfd_create(c"native".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                return Err(Error::Load(std::io::Error::last_os_error().to_string()));
            }
            std::fs::File::from_raw_fd(descriptor)
        };
        file.write_all(bytes).map_err(|error| Error::Load(error.to_string()))?;
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("no zero in it");
        // SAFETY: the caller promises that the object is ours: it runs nothing when it is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(Error::Load(last_error()));
        }
        Ok(Arc::new(Self { handle, _file: file }))
    }

    /// A module of the object, by the name that [`aot::Assembly::add`](../../aot/struct.Assembly.html) was given.
    pub fn module(self: &Arc<Self>, name: &str) -> Result<Module, Error> {
        let missing = || Error::Load(format!("it has no module `{name}`"));
        let symbol = CString::new(format!("sampan_module_{name}")).map_err(|_| missing())?;
        // SAFETY: the handle is that of a loaded object.
        let descriptor = unsafe { libc::dlsym(self.handle, symbol.as_ptr()) };
        if ptr::eq(descriptor, ptr::null()) {
            return Err(missing());
        }
        Ok(Module { _object: Arc::clone(self), descriptor: descriptor.cast() })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: modules keep their object, and stores their modules, so that nothing of it is used any more.
        unsafe { libc::dlclose(self.handle) };
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

fn last_error() -> String {
    // SAFETY: the loader's message is a string, valid until the next call of this thread.
    unsafe {
        let message = libc::dlerror();
        if message.is_null() {
            "unknown".to_owned()
        } else {
            CStr::from_ptr(message).to_string_lossy().into()
        }
    }
}
