//! A program made ready: from a file in any form, through the cache, to code in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use wasmtime::Module;
use wasmtime::component::Component;

use crate::cache::{CodeCache, Key, Stamp};
use crate::form::Form;
use crate::limits::PROGRAM_BYTES_MAX;
use crate::meter::Metered;
use crate::options::{Codegen, Precompiled};
use crate::refusal::Refusal;
use crate::seal::Seal;
use crate::{Engine, Error, anatomy, compiler, shim, unfold};

/// The purpose for which a built file is sealed, so that it cannot stand in for a file of the cache.
const BUILT: &[u8] = b"built";

/// A program whose code is in memory, ready to be instantiated.
#[derive(Clone)]
pub struct Program {
    compiled: Compiled,
    native: Vec<Arc<shim::Code>>,
}

/// Makes an object of its text, as [`compiler::object`] does.
pub(crate) type MakeObject<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, Error>;

/// What Wasmtime makes instances of.
#[derive(Clone)]
pub enum Compiled {
    /// A core module.
    Module(Module),
    /// A component.
    Component(Component),
}

impl Program {
    /// What Wasmtime makes instances of. For a program of native code it is a [stand-in](Self::link_native).
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// See [`compiled`](Self::compiled).
    pub fn into_compiled(self) -> Compiled {
        self.compiled
    }

    /// Adds to the linker of a module what it imports of its native code, if it has any.
    ///
    /// # Errors
    /// When that is there already.
    pub fn link_native<T: Metered>(&self, linker: &mut wasmtime::Linker<T>) -> wasmtime::Result<()> {
        if self.native.is_empty() { Ok(()) } else { shim::link(linker, &self.native) }
    }

    /// The same for a component.
    ///
    /// # Errors
    /// As above.
    pub fn link_native_component<T: Metered>(
        &self,
        linker: &mut wasmtime::component::Linker<T>,
    ) -> wasmtime::Result<()> {
        if self.native.is_empty() { Ok(()) } else { shim::link_component(linker, &self.native) }
    }
}

impl From<Compiled> for Program {
    fn from(compiled: Compiled) -> Self {
        Self { compiled, native: Vec::new() }
    }
}

/// Reads a program file, whole.
///
/// # Errors
/// [`Error::Read`], also for a file of more than [`PROGRAM_BYTES_MAX`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    // Room for all of it at once: a buffer that grows copies what it has, and holds it twice meanwhile.
    let expected = file.metadata().map_or(0, |metadata| metadata.len().min(PROGRAM_BYTES_MAX));
    bounded_into(Vec::with_capacity(expected as usize + 1), file).map_err(fail)
}

/// Reads a program from a stream to its end.
///
/// # Errors
/// Those of the stream, and one for more than [`PROGRAM_BYTES_MAX`].
pub fn bounded(stream: impl Read) -> std::io::Result<Vec<u8>> {
    bounded_into(Vec::new(), stream)
}

fn bounded_into(mut bytes: Vec<u8>, stream: impl Read) -> std::io::Result<Vec<u8>> {
    stream.take(PROGRAM_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PROGRAM_BYTES_MAX {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("more than {PROGRAM_BYTES_MAX} bytes"),
        ));
    }
    Ok(bytes)
}

/// The binary form of a program in either form.
///
/// # Errors
/// [`Error::Text`].
pub fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    wat::parse_bytes(bytes).map_err(Error::Text)
}

impl Engine {
    /// Makes the program at `path` ready. Only for a precompiled one is `seal` asked for.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Read`].
    pub fn load_file(
        &self,
        path: &Path,
        cache: Option<&CodeCache>,
        seal: impl FnOnce() -> Option<Seal>,
    ) -> Result<Program, Error> {
        let stamp =
            cache.and_then(|cache| Some((cache, Stamp::new(&self.compatibility(), &path.metadata().ok()?)?)));
        if let Some((cache, stamp)) = stamp
            && let Some(program) = cache.known(stamp).and_then(|key| self.load_cached(cache, key))
        {
            return program;
        }
        let bytes = read(path)?;
        if Form::detect(&bytes) == Ok(Form::Compiled) {
            return self.load_built(path, seal());
        }
        let program = self.load(&bytes, cache);
        // The file may have been replaced while it was read: only what is still the same was read whole.
        if let Some((cache, stamp)) = stamp
            && matches!(
                program,
                Ok(_) | Err(Error::Concurrent | Error::Unstoppable | Error::Late(_) | Error::Clang(_))
            )
            && path.metadata().is_ok_and(|now| Stamp::new(&self.compatibility(), &now) == Some(stamp))
        {
            // A full or read-only disk costs the next start some time, and this one nothing.
            let _ = cache.remember(stamp, self.key(&bytes));
        }
        program
    }

    /// The program whose code the cache has under `key`; `None` where it has none that this engine can use.
    fn load_cached(&self, cache: &CodeCache, key: Key) -> Option<Result<Program, Error>> {
        let (path, file) = cache.get(key)?;
        if let Some(refusal) = Refusal::read(&file) {
            return refusal.stands(self.settings()).then(|| Err(refusal.error()));
        }
        match self.load_sealed(&path, file) {
            Err(Error::Incompatible(_)) => {
                cache.remove(key);
                None
            }
            loaded => Some(loaded),
        }
    }

    /// Makes the program in `bytes` ready: a module or component, binary or text. Its code is taken from the cache
    /// if it is there, else compiled, and kept there.
    ///
    /// # Errors
    /// [`Error::NotWasm`], [`Error::Text`] and [`Error::Invalid`]; [`Error::Unfit`] where there is a pool, for which
    /// [`without_pool`](Self::without_pool) is the cure.
    pub fn load(&self, bytes: &[u8], cache: Option<&CodeCache>) -> Result<Program, Error> {
        let Some(cache) = cache else {
            return self.load_code(&self.compile(bytes)?);
        };
        let key = self.key(bytes);
        if let Some(loaded) = self.load_cached(cache, key) {
            return loaded;
        }
        // A full or read-only disk costs the next start some time, and this one nothing.
        let keep = |content: &[u8]| drop(cache.put(key, content));
        self.compile_and_keep(bytes, &|text| compiler::object(text, self.settings()), keep)
    }

    /// Compiles a program, and has its code kept, or what is known of it where another kind of engine is needed.
    pub(crate) fn compile_and_keep(
        &self,
        bytes: &[u8],
        make: MakeObject<'_>,
        keep: impl Fn(&[u8]),
    ) -> Result<Program, Error> {
        let code = self.compile_with(bytes, make).inspect_err(|error| {
            if let Some(refusal) = Refusal::of(error, self.settings()) {
                keep(&refusal.to_bytes());
            }
        })?;
        keep(&code);
        self.load_code(&code)
    }

    /// Compiles `bytes` to a file that [`load_file`](Self::load_file) accepts from the holder of `seal`.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Write`].
    pub fn build(&self, bytes: &[u8], path: &Path, seal: &Seal) -> Result<(), Error> {
        let code = self.compile(bytes)?;
        seal.write(path, BUILT, &code).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// Compiles `bytes` to code for [`load_appended`](Self::load_appended).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn code(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.compile(bytes)
    }

    /// A program from what [`code`](Self::code) gave, which is believed: it comes from where this very process has its own
    /// code.
    ///
    /// # Errors
    /// As [`load_file`](Self::load_file) for a precompiled one.
    pub fn load_appended(&self, code: &[u8]) -> Result<Program, Error> {
        if let Some((shim, object)) = shim::parts(code) {
            return self.with_native(self.load_appended(shim)?, object);
        }
        // SAFETY: whoever could change the code could change the code of this process, of which it is a part.
        self.sorted(unsafe {
            match wasmtime::Engine::detect_precompiled(code) {
                Some(wasmtime::Precompiled::Component) => {
                    Component::deserialize(self.wasmtime(), code).map(Compiled::Component)
                }
                _ => Module::deserialize(self.wasmtime(), code).map(Compiled::Module),
            }
        })
    }

    /// As [`load`](Self::load), but nothing is compiled: `None` for a program that would have to be.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_at_hand(&self, bytes: &[u8], cache: Option<&CodeCache>) -> Result<Option<Program>, Error> {
        cache.and_then(|cache| self.load_cached(cache, self.key(bytes))).transpose()
    }

    /// What names the code of a program in the cache.
    fn key(&self, bytes: &[u8]) -> Key {
        Key::new(&self.compatibility(), bytes)
    }

    fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.compile_with(bytes, &|text| compiler::object(text, self.settings()))
    }

    fn compile_with(&self, bytes: &[u8], make: MakeObject<'_>) -> Result<Vec<u8>, Error> {
        match Form::detect(bytes).map_err(Error::NotWasm)? {
            Form::Module if self.settings().options.codegen == Codegen::Native => {
                let (shim, maker) = shim::compile(bytes, self.settings())?;
                let shim =
                    self.wasmtime().precompile_module(&shim).map_err(|error| self.refused(bytes, error))?;
                Ok(shim::join(&shim, &make(&maker.finish())?))
            }
            Form::Component if self.settings().options.codegen == Codegen::Native => {
                unfold::check(bytes).map_err(Error::Invalid)?;
                let (shims, maker) = shim::compile_component(bytes, self.settings())?;
                let shims = self
                    .wasmtime()
                    .precompile_component(&shims)
                    .map_err(|error| self.refused(bytes, error))?;
                Ok(shim::join(&shims, &make(&maker.finish())?))
            }
            Form::Module => {
                self.wasmtime().precompile_module(bytes).map_err(|error| self.refused(bytes, error))
            }
            Form::Component => {
                unfold::check(bytes).map_err(Error::Invalid)?;
                self.wasmtime().precompile_component(bytes).map_err(|error| self.refused(bytes, error))
            }
            Form::Text => self.compile_with(&binary(bytes)?, make),
            Form::Compiled => Err(Error::NotWasm("compiled already".to_owned())),
        }
    }

    /// A program whose code is that of an object, which was made by [`shim::compile`].
    fn with_native(&self, shim: Program, object: &[u8]) -> Result<Program, Error> {
        // SAFETY: the object was made here a moment ago, or lay under a seal.
        let native = unsafe { shim::load(object, self.settings()) }?;
        Ok(Program { native, ..shim })
    }

    /// Why a program was refused: an engine of another kind may know all that it uses.
    fn refused(&self, bytes: &[u8], error: wasmtime::Error) -> Error {
        if !self.settings().concurrent && anatomy::is_concurrent(bytes) {
            Error::Concurrent
        } else if self.settings().has_signals() && anatomy::is_unstoppable(bytes) {
            Error::Unstoppable
        } else {
            Error::Invalid(error)
        }
    }

    /// A program from code that [`compile`](Self::compile) made in this process.
    fn load_code(&self, code: &[u8]) -> Result<Program, Error> {
        if let Some((shim, object)) = shim::parts(code) {
            return self.with_native(self.load_code(shim)?, object);
        }
        // SAFETY: the bytes are Wasmtime's own, made a moment ago and held in memory since.
        let program = unsafe {
            match wasmtime::Engine::detect_precompiled(code) {
                Some(wasmtime::Precompiled::Component) => {
                    Component::deserialize(self.wasmtime(), code).map(Compiled::Component)
                }
                _ => Module::deserialize(self.wasmtime(), code).map(Compiled::Module),
            }
        };
        // The code is sound and this very engine's own: what can still refuse it is the pool, or the machine.
        self.suited(program.map_err(if self.is_pooled() { Error::Unfit } else { Error::Setup })?)
    }

    fn load_built(&self, path: &Path, seal: Option<Seal>) -> Result<Program, Error> {
        let file = open_built(path, self.settings().options.precompiled, || seal)?;
        self.load_sealed(path, file)
    }

    /// A program from a file of code, as [`load_sealed`](Self::load_sealed), by a process that cannot open files. Whoever
    /// opened it found its seal to hold.
    #[cfg(target_os = "linux")]
    pub(crate) fn load_open(&self, file: File) -> Result<Program, Error> {
        if let Some(refusal) = Refusal::read(&file) {
            return Err(refusal.error());
        }
        // SAFETY: the file is one of the cache or one that was built, which are replaced whole, never written in place.
        let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| Error::Setup(error.into()))?;
        if let Some((shim, object)) = shim::parts(&bytes) {
            self.check_native()?;
            return self.with_native(self.load_code(shim)?, object);
        }
        // SAFETY: as above; what it holds was found to be Wasmtime's own.
        let program = unsafe {
            match wasmtime::Engine::detect_precompiled(&bytes) {
                Some(wasmtime::Precompiled::Component) => {
                    crate::sealed::mapped::component(self.wasmtime(), &file).map(Compiled::Component)
                }
                _ => Module::deserialize_open_file(self.wasmtime(), file).map(Compiled::Module),
            }
        };
        self.sorted(program)
    }

    /// A program from a file of code whose seal was found to hold, or whose maker is trusted by the user's word.
    fn load_sealed(&self, path: &Path, file: File) -> Result<Program, Error> {
        if shim::is_code(&file) {
            self.check_native()?;
            let code = read(path)?;
            let (shim, object) = shim::parts(&code).ok_or(Error::Unsealed)?;
            return self.with_native(self.load_code(shim)?, object);
        }
        let form = wasmtime::Engine::detect_precompiled_file(path).map_err(Error::Incompatible)?;
        // SAFETY: the file holds what Wasmtime wrote: its seal says so, made with a key that only this user has; or
        // the user vouched for it. Files of the cache are replaced whole, never written in place.
        let program = unsafe {
            match form {
                Some(wasmtime::Precompiled::Component) => {
                    Component::deserialize_file(self.wasmtime(), path).map(Compiled::Component)
                }
                _ => Module::deserialize_open_file(self.wasmtime(), file).map(Compiled::Module),
            }
        };
        self.sorted(program)
    }

    /// Whether native code can be run.
    fn check_native(&self) -> Result<(), Error> {
        (self.settings().options.codegen == Codegen::Native).then_some(()).ok_or(Error::IsNative)
    }

    /// The program of a file of code, or why there is none.
    fn sorted(&self, program: wasmtime::Result<Compiled>) -> Result<Program, Error> {
        // Wasmtime has no type that tells code that does not fit the pool from code that is not for this engine.
        // Without the pool it is the latter.
        self.suited(program.map_err(|error| match error.to_string() {
            words if words.contains("with concurrency support") => Error::Concurrent,
            words if self.settings().has_signals() && needs_more(&words) => Error::Unstoppable,
            _ if self.is_pooled() => Error::Unfit(error),
            _ => Error::Incompatible(error),
        })?)
    }

    /// Refuses a program whose imports can only be given to programs that do several things at once: WASI is so from
    /// 0.3 on.
    fn suited(&self, program: Compiled) -> Result<Program, Error> {
        match &program {
            Compiled::Component(component) if !self.settings().concurrent => {
                let kind = component.component_type();
                let mut imports = kind.imports(self.wasmtime());
                match imports.any(|(name, _)| name.starts_with("wasi:") && name.contains("@0.3.")) {
                    true => Err(Error::Concurrent),
                    false => Ok(program.into()),
                }
            }
            _ => Ok(program.into()),
        }
    }
}

/// Opens a file of code that somebody built, if its seal holds or need not.
pub(crate) fn open_built(
    path: &Path,
    precompiled: Precompiled,
    seal: impl FnOnce() -> Option<Seal>,
) -> Result<File, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let trusted = precompiled == Precompiled::Any;
    if !trusted && !seal().is_some_and(|seal| seal.holds(&file, BUILT).unwrap_or(false)) {
        return Err(Error::Unsealed);
    }
    Ok(file)
}

/// Whether Wasmtime says that code was made by an engine that knows more proposals.
fn needs_more(words: &str) -> bool {
    words.contains("with support for WebAssembly feature") || words.contains("with GC however GC is disabled")
}
