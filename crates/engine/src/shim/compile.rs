//! From a module to native code at rest, and back into memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use aot::{Assembly, Precision, Target};
use rt::Policy;
use rt::abi::ABI_VERSION;

use super::code::{self, Code};
use super::component::{self, Shim};
use super::module::{self, Within};
use crate::limits::COMPILER_PART_BYTES;
use crate::options::{Bounds, Interrupt, Options, Traps};
use crate::{Error, Settings};

/// What native code at rest begins with: then come the bytes of the shim's code as a number, that code, and the object.
const MAGIC: &[u8; 16] = b"sampan native 1\n";

/// Raised whenever shims change, or the code that `aot` makes: what is in the cache was made by another one.
const SHIM_VERSION: u32 = 6;

/// Whether there can be native code on this machine.
pub(crate) fn is_supported() -> bool {
    Target::host().is_some()
}

/// The shim of a module, and the text of the object with its code, yet to be finished.
pub(crate) fn compile<'a>(module: &[u8], settings: &'a Settings) -> Result<(Vec<u8>, Maker<'a>), Error> {
    let mut maker = Maker::new(settings)?;
    let (shim, _) = maker.add(module, Within::Nothing)?;
    Ok((shim, maker))
}

/// The component with shims for those of its modules that can become native code, and the text of the object with their
/// code.
pub(crate) fn compile_component<'a>(
    component: &[u8],
    settings: &'a Settings,
) -> Result<(Vec<u8>, Maker<'a>), Error> {
    let mut maker = Maker::new(settings)?;
    let mut refusal = "it has no module with a memory".to_owned();
    let mut shims = Vec::new();
    let modules = component::modules(component).map_err(|error| Error::Invalid(error.into()))?;
    let modules =
        modules.ok_or_else(|| Error::NotNative("it uses names that are kept for the host".to_owned()))?;
    for module in modules {
        let number = maker.modules as u32;
        shims.push(match module::has_memory(module).then(|| maker.add(module, Within::Component(number))) {
            Some(Ok((wasm, memories))) => Some(Shim { wasm, memories }),
            Some(Err(Error::NotNative(why))) => {
                refusal = why;
                None
            }
            Some(Err(error)) => return Err(error),
            None => None,
        });
    }
    if maker.modules == 0 {
        return Err(Error::NotNative(refusal));
    }
    let rewritten = component::rewrite(component, shims);
    let rewritten = rewritten.map_err(|error| Error::Invalid(wasmtime::format_err!("{error}")))?;
    Ok((rewritten, maker))
}

/// Makes the text of one object of modules.
pub(crate) struct Maker<'a> {
    settings: &'a Settings,
    assembly: Assembly,
    modules: usize,
}

impl<'a> Maker<'a> {
    fn new(settings: &'a Settings) -> Result<Self, Error> {
        let target =
            Target::host().ok_or_else(|| Error::NotNative("this machine is not known".to_owned()))?;
        let assembly = Assembly::new(target).in_parts(COMPILER_PART_BYTES);
        Ok(Self { settings, assembly, modules: 0 })
    }

    /// Adds a module, and gives its shim and how many memories it has.
    fn add(&mut self, module: &[u8], within: Within) -> Result<(Vec<u8>, usize), Error> {
        let options = &self.settings.options;
        let shim = module::shim(module, within).map_err(Error::NotNative)?;
        let name = code::name(self.modules);
        self.assembly.add_guest(&name, module, policy(options), precision(options)).map_err(refused)?;
        self.modules += 1;
        Ok(shim)
    }

    /// The text that [`compiler::object`](crate::compiler::object) makes an object of.
    pub(crate) fn finish(self) -> String {
        self.assembly.finish()
    }
}

/// What an error of the compiler is here.
pub(crate) fn refused(error: aot::Error) -> Error {
    match error {
        aot::Error::Invalid(error) => Error::Invalid(error.into()),
        aot::Error::Proposal(_) | aot::Error::TooLarge | aot::Error::NotOfC { .. } => {
            Error::NotNative(error.to_string())
        }
        aot::Error::Late { time, .. } => Error::Late(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        aot::Error::Clang { .. } => Error::Clang(error.to_string()),
        aot::Error::NoClang { oldest, newest } => Error::NoClang { oldest, newest },
        error => Error::Native(error.into()),
    }
}

pub(crate) fn precision(options: &Options) -> Precision {
    match options.traps {
        Traps::Precise => Precision::Precise,
        Traps::Relaxed => Precision::Relaxed,
    }
}

pub(crate) fn policy(options: &Options) -> Policy {
    match options.bounds {
        Bounds::Guarded => Policy::Guarded,
        Bounds::Checked => Policy::Checked,
        Bounds::Masked => Policy::Masked,
        Bounds::Unchecked => Policy::Unchecked,
    }
}

/// Whatever decides, besides Wasmtime, whether native code at rest fits an engine.
pub(crate) fn compatibility(settings: &Settings) -> String {
    let Options { bounds, traps, cpu, .. } = &settings.options;
    let version = env!("CARGO_PKG_VERSION");
    format!("native {version} {ABI_VERSION} {SHIM_VERSION} {bounds:?} {traps:?} {cpu}")
}

/// Native code at rest: the code of a shim, and an object.
pub(crate) fn join(shim: &[u8], object: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &(shim.len() as u64).to_le_bytes(), shim, object].concat()
}

/// The parts of native code at rest; nothing if it is none.
pub(crate) fn parts(code: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = code.strip_prefix(MAGIC)?.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)
}

/// Whether a file begins as native code at rest does.
pub(crate) fn is_code(file: &File) -> bool {
    let mut begin = [0; MAGIC.len()];
    file.read_exact_at(&mut begin, 0).is_ok() && begin == *MAGIC
}

/// The native code of an object.
///
/// # Safety
/// It was made by [`compile`], and nobody has changed it.
pub(crate) unsafe fn load(object: &[u8], settings: &Settings) -> Result<Vec<Arc<Code>>, Error> {
    let gives_way = settings.options.interrupt != Interrupt::None;
    // SAFETY: the caller promises it.
    let code = unsafe { Code::load(object, settings.limits.stack_bytes_max, gives_way) };
    code.map_err(|error| Error::Native(error.into()))
}
