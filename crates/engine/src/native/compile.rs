//! From a module to native code at rest, and back into memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use aot::{Assembly, Clang, Output, Precision, Target};
use rt::Policy;
use rt::abi::ABI_VERSION;

use super::code::{Code, NAME};
use super::shim;
use crate::options::{Bounds, Interrupt, Options, Traps};
use crate::{Error, Settings};

/// What native code at rest begins with: then come the bytes of the shim's code as a number, that code, and the object.
const MAGIC: &[u8; 16] = b"sampan native 1\n";

/// Optimizing as much as clang can.
const LEVEL: u8 = 3;

/// Whether there can be native code on this machine.
pub(crate) fn is_supported() -> bool {
    Target::host().is_some()
}

/// The shim of a module, and the object with its code.
pub(crate) fn compile(module: &[u8], settings: &Settings) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let options = &settings.options;
    let target = Target::host().ok_or_else(|| Error::NotNative("this machine is not known".to_owned()))?;
    let precision = match options.traps {
        Traps::Precise => Precision::Precise,
        Traps::Relaxed => Precision::Relaxed,
    };
    let mut assembly = Assembly::new(target);
    assembly.add_guest(NAME, module, policy(options), precision).map_err(refused)?;
    let shim = shim::shim(module).map_err(Error::NotNative)?;
    let clang = Clang::find(&settings.tools).map_err(refused)?;
    let object = clang.compile(&assembly.finish(), &target, &options.cpu, LEVEL, Output::Shared);
    Ok((shim, object.map_err(refused)?))
}

/// What an error of the compiler is here.
fn refused(error: aot::Error) -> Error {
    match error {
        aot::Error::Invalid(error) => Error::Invalid(error.into()),
        aot::Error::Proposal(_) | aot::Error::TooLarge => Error::NotNative(error.to_string()),
        aot::Error::NoClang { oldest, newest } => Error::NoClang { oldest, newest },
        error => Error::Native(error.into()),
    }
}

fn policy(options: &Options) -> Policy {
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
    format!("native {version} {ABI_VERSION} {bounds:?} {traps:?} {cpu}")
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
pub(crate) unsafe fn load(object: &[u8], settings: &Settings) -> Result<Code, Error> {
    let gives_way = settings.options.interrupt != Interrupt::None;
    // SAFETY: the caller promises it.
    let code = unsafe { Code::load(object, settings.limits.stack_bytes_max, gives_way) };
    code.map_err(|error| Error::Native(error.into()))
}
