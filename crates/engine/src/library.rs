//! Programs as libraries for C: `aot` makes them, and no engine runs them.

use aot::{Library, Output, Target};

use crate::shim::{policy, precision, refused};
use crate::{Error, Form, Settings, compiler, program};

/// What a library for C is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// An object, to be linked into a program.
    Object,
    /// A shared object.
    Shared,
}

/// A library for C and its header.
#[derive(Debug)]
pub struct Made {
    /// What C includes.
    pub header: String,
    /// What is linked.
    pub library: Vec<u8>,
}

/// The targets that there can be libraries for, and which of them have shared objects.
pub fn targets() -> impl Iterator<Item = (&'static str, bool)> {
    Target::ALL.iter().map(|target| (target.triple, target.pointer_bytes == 8))
}

/// The target that is this machine, if it is among them.
pub fn host() -> Option<&'static str> {
    Target::host().map(|target| target.triple)
}

/// What all processors of this machine's target have, as the option `cpu` names it.
pub fn cpu() -> &'static str {
    Target::host().map_or("native", |target| target.cpu)
}

/// Makes a library of the module in `bytes`. Its identifiers begin with `name`. `runtime` is `hosts/c` for the target;
/// `cpu` is for all processors of the target unless given.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotNative`], [`Error::NoClang`] and [`Error::Native`].
pub fn library(
    bytes: &[u8],
    name: &str,
    target: &str,
    runtime: &[u8],
    product: Product,
    cpu: Option<&str>,
    settings: &Settings,
) -> Result<Made, Error> {
    let target = Target::new(target).ok_or_else(|| Error::NotNative(format!("`{target}` is not known")))?;
    let module = match Form::detect(bytes).map_err(Error::NotWasm)? {
        Form::Text => program::binary(bytes)?,
        _ => bytes.into(),
    };
    match Form::detect(&module).map_err(Error::NotWasm)? {
        Form::Module | Form::Text => {}
        Form::Compiled => return Err(Error::NotWasm("compiled already".to_owned())),
        Form::Component => {
            return Err(Error::NotNative("a component is no library for C, only a module is".to_owned()));
        }
    }
    let options = &settings.options;
    let made = Library::new(name, &module, target, policy(options), precision(options)).map_err(refused)?;
    let output = match product {
        Product::Object => Output::Relocatable,
        Product::Shared => Output::Shared,
    };
    let clang = compiler::clang(settings)?;
    let library =
        clang.library(&made, runtime, &target, cpu.unwrap_or(target.cpu), output).map_err(refused)?;
    Ok(Made { header: made.header().to_owned(), library })
}
