//! How a sealed process comes by the code of its program.
//!
//! It cannot read the cache, and has no key of its user's: whoever has the key can make code that all others run. So it
//! says what kind of engine it has, and its supervisor looks the code up. Where there is none, it is given the program's
//! bytes, compiles them where hostile bytes do no harm, and gives the code back. The supervisor keeps that under the
//! name that it worked out itself, so that a program can at worst spoil its own code, for processes as sealed as this one.
//!
//! Native code is made by clang, which is another program, and so outside. It is given the text that the process made, as
//! that of an enemy, and is [shut in](crate::compiler) itself; what it makes goes back, to run where it was asked for.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Inside;
use super::channel::{Channel, Message, Tag};
use super::system::file_in_memory;
use crate::cache::{Key, Stamp};
use crate::engine::compatibility;
use crate::form::Form;
use crate::limits::{PROGRAM_BYTES_MAX, SEALED_TEXT_BYTES_MAX, SEALED_WORDS_BYTES_MAX};
use crate::options::{Codegen, Interrupt};
use crate::refusal::Refusal;
use crate::{CodeCache, Engine, Error, Program, Seal, Settings, compiler, program};

/// Code that is kept is at most so many times as large as its program.
const CODE_PER_BYTE_MAX: u64 = 64;
/// And so much more.
const CODE_BYTES_MORE: u64 = 4 << 20;

/// Kinds of interruption, as a message tells them.
const INTERRUPTS: [Interrupt; 4] = [Interrupt::None, Interrupt::Signal, Interrupt::Epoch, Interrupt::Fuel];

/// What a message begins with that says why there is no native code: whether clang failed. What is late has no words.
const BY_CLANG: u8 = 1;
/// See [`BY_CLANG`].
const BY_ANOTHER: u8 = 2;

/// Where the supervisor finds the program.
pub enum Source<'a> {
    /// In a file.
    File(&'a Path),
    /// In memory, where it was read from a stream.
    Bytes(Vec<u8>),
}

/// What code must be made for to fit an engine with some settings. It takes a moment to work out, once for all processes.
#[derive(Clone, Copy)]
pub struct Fit(Option<[u8; 32]>);

impl Fit {
    /// Of an engine with these settings.
    pub fn of(settings: &Settings) -> Self {
        // Where it fails, it fails again when it is needed, and is told.
        Self(compatibility(settings).ok())
    }
}

/// What the supervisor gives a sealed process to run.
pub struct Supplier<'a> {
    /// With which the engine inside is made.
    settings: &'a Settings,
    /// The program.
    source: Source<'a>,
    /// Where code is kept, if anywhere.
    cache: Option<&'a CodeCache>,
    /// Tells precompiled files of this user from others.
    seal: &'a dyn Fn() -> Option<Seal>,
    fit: Fit,
    /// What it will most probably be asked for.
    prepared: Option<Answer>,
    /// What is not kept yet: under which name, and how large it may be.
    missing: Option<Missing>,
    /// Whether native code was made, which happens once.
    has_made: bool,
}

/// What a process is answered.
type Answer = (Tag, Option<File>);

/// Code that the cache lacks.
struct Missing {
    key: Key,
    /// The program's file, and what engine the code is for.
    stamp: Option<(Stamp, [u8; 32])>,
    bytes_max: u64,
}

impl<'a> Supplier<'a> {
    /// Supplies this program.
    pub fn new(
        (settings, fit): (&'a Settings, Fit),
        source: Source<'a>,
        cache: Option<&'a CodeCache>,
        seal: &'a dyn Fn() -> Option<Seal>,
    ) -> Self {
        Self { settings, source, cache, seal, fit, prepared: None, missing: None, has_made: false }
    }

    /// Looks for what it will be asked for, while the process that will ask is sealed. What fails fails again then, and is told.
    pub fn prepare(&mut self) {
        if let Some(compatibility) = self.fit.0 {
            self.prepared = self.find(&self.settings.clone(), compatibility).ok();
        }
    }

    /// Answers with code, or the program's bytes.
    pub(super) fn answer(&mut self, wanted: &Message, channel: &Channel) -> Result<(), Error> {
        let settings = self.settings_of(&wanted.content);
        let is_same = kind(&settings) == kind(self.settings);
        let (tag, file) = match (self.prepared.take(), self.fit.0) {
            (Some(prepared), _) if is_same => prepared,
            (_, Some(known)) if is_same => self.find(&settings, known)?,
            _ => self.find(&settings, compatibility(&settings)?)?,
        };
        let sent = channel.send(tag, &[], file.as_ref().map(AsFd::as_fd));
        sent.map_err(|error| Error::Setup(error.into()))
    }

    fn find(&mut self, settings: &Settings, compatibility: [u8; 32]) -> Result<Answer, Error> {
        self.missing = None;
        let stamp = match (&self.source, self.cache) {
            (Source::File(path), Some(_)) => {
                path.metadata().ok().and_then(|file| Stamp::new(&compatibility, &file))
            }
            _ => None,
        };
        // What is refused may be made now.
        let get = |cache: &CodeCache, key| {
            let (_, file) = cache.get(key)?;
            Refusal::read(&file).is_none_or(|refusal| refusal.stands(settings)).then_some(file)
        };
        if let (Some(cache), Some(stamp)) = (self.cache, stamp)
            && let Some(file) = cache.known(stamp).and_then(|key| get(cache, key))
        {
            return Ok((Tag::Code, Some(file)));
        }
        let bytes = match &self.source {
            Source::File(path) => Cow::Owned(program::read(path)?),
            Source::Bytes(bytes) => Cow::Borrowed(&bytes[..]),
        };
        if let Source::File(path) = &self.source
            && Form::detect(&bytes) == Ok(Form::Compiled)
        {
            return match program::open_built(path, settings.options.precompiled, self.seal) {
                Err(Error::Unsealed) => Ok((Tag::Unsealed, None)),
                file => Ok((Tag::Code, Some(file?))),
            };
        }
        if let Some(cache) = self.cache {
            let key = Key::new(&compatibility, &bytes);
            if let Some(file) = get(cache, key) {
                return Ok((Tag::Code, Some(file)));
            }
            let bytes_max = (bytes.len() as u64).saturating_mul(CODE_PER_BYTE_MAX) + CODE_BYTES_MORE;
            let stamp = stamp.map(|stamp| (stamp, compatibility));
            self.missing = Some(Missing { key, stamp, bytes_max });
        }
        let file = file_in_memory(c"program", &bytes).map_err(|error| Error::Setup(error.into()))?;
        Ok((Tag::Source, Some(file)))
    }

    /// Whether the program is to be native code.
    pub(super) fn is_native(&self) -> bool {
        self.settings.options.codegen == Codegen::Native
    }

    /// Has native code made of a text.
    pub(super) fn make(&mut self, text: OwnedFd, channel: &Channel) -> Result<(), Error> {
        let made = match std::mem::replace(&mut self.has_made, true) {
            true => Err(Error::Native("it was made before".into())),
            false => read(text, SEALED_TEXT_BYTES_MAX)
                .and_then(|text| String::from_utf8(text).map_err(io::Error::other))
                .map_err(|error| Error::Native(error.into()))
                .and_then(|text| compiler::object(&text, self.settings)),
        };
        if let Err(error @ Error::Clang(_)) = &made
            && let Some(refusal) = Refusal::of(error, self.settings)
        {
            self.keep_content(&refusal.to_bytes());
        }
        let sent = match made {
            Ok(object) => file_in_memory(c"object", &object)
                .and_then(|file| channel.send(Tag::Object, &[], Some(file.as_fd()))),
            Err(Error::Late(_)) => channel.send(Tag::Failed, &[], None),
            Err(error) => {
                let (sign, words) = match error {
                    Error::Clang(words) => (BY_CLANG, words),
                    Error::Native(source) => (BY_ANOTHER, source.to_string()),
                    error => (BY_ANOTHER, error.to_string()),
                };
                let end = words.floor_char_boundary(SEALED_WORDS_BYTES_MAX);
                channel.send(Tag::Failed, &[&[sign], &words.as_bytes()[..end]].concat(), None)
            }
        };
        sent.map_err(|error| Error::Setup(error.into()))
    }

    /// Keeps code that was made. The maker may be hostile by now: what it gives is named by what was asked for.
    pub(super) fn keep(&mut self, code: OwnedFd) {
        let bytes_max = self.missing.as_ref().map_or(0, |missing| missing.bytes_max);
        if let Ok(code) = read(code, bytes_max) {
            self.keep_content(&code);
        }
    }

    fn keep_content(&mut self, content: &[u8]) {
        let (Some(cache), Some(missing)) = (self.cache, self.missing.take()) else { return };
        // A full or read-only disk costs the next start some time, and this one nothing.
        if cache.put(missing.key, content).is_ok()
            && let (Source::File(path), Some((stamp, compatibility))) = (&self.source, missing.stamp)
            && path.metadata().is_ok_and(|now| Stamp::new(&compatibility, &now) == Some(stamp))
        {
            let _ = cache.remember(stamp, missing.key);
        }
    }

    /// The settings of the engine inside, which may have become one for another kind of programs.
    fn settings_of(&self, message: &[u8]) -> Settings {
        let mut settings = self.settings.clone();
        if let [concurrent, interrupt, native] = message {
            if *native == 0 {
                settings = settings.without_native();
            }
            settings.concurrent |= *concurrent == 1;
            if let Some(interrupt) = INTERRUPTS.get(usize::from(*interrupt)) {
                settings.options.interrupt = *interrupt;
            }
        }
        settings
    }
}

/// What an engine may have become another of, for its program's sake, as a message tells it.
fn kind(settings: &Settings) -> [u8; 3] {
    let interrupt = INTERRUPTS.iter().position(|kind| *kind == settings.options.interrupt);
    let is_native = settings.options.codegen == Codegen::Native;
    [u8::from(settings.concurrent), interrupt.unwrap_or_default() as u8, u8::from(is_native)]
}

/// What a regular file has in it, if that is not too much. Nobody can make the reader wait.
fn read(file: OwnedFd, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; metadata.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

impl Inside {
    /// The program, ready to run on `engine`.
    ///
    /// # Errors
    /// As [`Engine::load_file`].
    pub fn load(&self, engine: &Engine) -> Result<Program, Error> {
        self.admitted();
        let settings = engine.settings();
        let answer =
            self.channel.send(Tag::Want, &kind(settings), None).and_then(|()| self.channel.receive());
        match answer.map_err(|error| Error::Setup(error.into()))? {
            Some(Message { tag: Tag::Code, file: Some(file), .. }) => engine.load_open(File::from(file)),
            Some(Message { tag: Tag::Source, file: Some(file), .. }) => {
                let mut bytes = Vec::new();
                let mut file = File::from(file);
                // It was written a moment ago, and is at its end.
                let rewound = io::Seek::rewind(&mut file);
                let read = rewound.and_then(|()| file.take(PROGRAM_BYTES_MAX).read_to_end(&mut bytes));
                read.map_err(|error| Error::Setup(error.into()))?;
                let seconds = settings.options.compile_seconds;
                engine.compile_and_keep(&bytes, &|text| self.make(text, seconds), |code| {
                    // Code that nobody keeps is as good this time.
                    if let Ok(file) = file_in_memory(c"code", code) {
                        let _ = self.channel.send(Tag::Made, &[], Some(file.as_fd()));
                    }
                })
            }
            Some(Message { tag: Tag::Unsealed, .. }) => Err(Error::Unsealed),
            // The supervisor has said why, and ends this process.
            _ => super::leave(),
        }
    }

    /// Has an object made of its text, outside.
    fn make(&self, text: &str, seconds: u32) -> Result<Vec<u8>, Error> {
        let failed = |error: io::Error| Error::Native(error.into());
        let file = file_in_memory(c"text", text.as_bytes()).map_err(failed)?;
        self.channel.send(Tag::Text, &[], Some(file.as_fd())).map_err(failed)?;
        match self.channel.receive().map_err(failed)? {
            Some(Message { tag: Tag::Object, file: Some(object), .. }) => {
                read(object, u64::MAX).map_err(failed)
            }
            Some(Message { tag: Tag::Failed, content, .. }) if content.is_empty() => {
                Err(Error::Late(seconds))
            }
            Some(Message { tag: Tag::Failed, content, .. }) => {
                let words = String::from_utf8_lossy(&content[1..]);
                Err(if content[0] == BY_CLANG {
                    Error::Clang(words.into())
                } else {
                    Error::Native(words.into())
                })
            }
            _ => super::leave(),
        }
    }
}
