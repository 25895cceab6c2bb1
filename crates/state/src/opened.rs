//! A file as it is open now, and opened again after it failed, by whoever finds it so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use redb::{Database, DatabaseError, StorageBackend, StorageError};

use crate::Error;
use crate::draft::Draft;
use crate::durable::State;
use crate::layer::Layer;
use crate::log::{self, Log, Position, Record};
use crate::room::is_full;
use crate::tables::{Snapshot, prepare};
use crate::view::View;

/// What a file lies on.
pub(crate) trait Place: Send + Sync {
    /// Opens the file, again after it failed.
    fn open(&self, mode: Mode) -> Result<Database, DatabaseError>;

    /// Opens the log beside it, if there is one, to be read.
    fn log(&self) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Opens the log to be written; made, empty, if it is not there.
    fn make_log(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Bytes that the log has once it is written.
    fn log_bytes(&self) -> usize;

    /// Sees whether there is room for so many bytes.
    fn probe(&self, bytes: usize) -> io::Result<()>;
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be read and written.
    Writable,
    /// To be read alone, without a byte of it changed.
    Frozen,
}

/// A file. redb refuses one that failed once, to readers too, until it is opened again.
pub(crate) struct Opened {
    path: PathBuf,
    pub(crate) place: Box<dyn Place>,
    /// Whether the last write found no room.
    is_full: AtomicBool,
    /// Locked as long as a write is on its way.
    state: Mutex<State>,
    /// What was made durable last; `None` while the file is not open.
    pub(crate) view: RwLock<Option<View>>,
}

impl Opened {
    /// Opens the file in its place. The path is only for errors.
    pub(crate) fn new(path: &Path, place: Box<dyn Place>) -> Result<Self, Error> {
        let (path, is_full) = (path.to_owned(), AtomicBool::new(false));
        let (state, view) = (Mutex::default(), RwLock::default());
        let file = Self { path, place, is_full, state, view };
        let mut state = file.state();
        if let Some(position) = file.open(&mut state, Mode::Writable)? {
            state.log = file.log(position).ok();
        }
        drop(state);
        Ok(file)
    }

    /// Reads what was made durable last, from the `part` of the layer that it needs: nobody waits for the disk because
    /// others read from it. Who reads does not notice that a write failed, but has to wait until the file is open again.
    pub(crate) fn read<T>(
        &self,
        part: impl Fn(&Layer) -> Layer,
        read: impl Fn(&View) -> Result<T, StorageError>,
    ) -> Result<T, Error> {
        let view = || self.view().as_ref().map(|view| view.part(&part));
        match view().map(|view| read(&view)) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(error @ StorageError::Corrupted(_))) => return Err(self.fault(error.into())),
            Some(Err(_)) | None => {}
        }
        // Once more while nobody writes: it may have failed because a write did.
        let mut state = self.state();
        if let Some(Ok(found)) = view().map(|view| read(&view)) {
            return Ok(found);
        }
        let reopened = self.reopen(&mut state);
        match view() {
            Some(view) => read(&view).map_err(|error| self.fault(error.into())),
            None => Err(reopened.err().unwrap_or(Error::Closed)),
        }
    }

    /// Sees whether there is room again, where there was none. To open a file again after it failed takes as long as to
    /// read all of it, so it must not come to that with every write to a full disk.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), Error> {
        if !self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.place.probe(bytes) {
            Err(error) if is_full(&error) => Err(self.fault(redb::Error::Io(error))),
            // What else is wrong, the write itself tells.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Changes the rows, and makes what was changed durable and then visible. What `only_removes` may have room where there
    /// is none for anything else.
    pub(crate) fn write<T>(
        &self,
        only_removes: bool,
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, StorageError>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        if !matches!(state.open, Some((Mode::Writable, _))) {
            self.reopen(&mut state)?;
        }
        match self.make_durable(&mut state, only_removes, change) {
            Ok(changed) => {
                // What was removed may have needed no room.
                if !only_removes {
                    self.is_full.store(false, Ordering::Relaxed);
                }
                Ok(changed)
            }
            Err(error) => {
                let found_full = matches!(&error, redb::Error::Io(error) if is_full(error));
                self.is_full.store(found_full, Ordering::Relaxed);
                // Where this fails too, the next who writes tries again.
                let _ = self.reopen(&mut state);
                Err(self.fault(error))
            }
        }
    }

    /// Opens the file again. Where it cannot be written, it can at least be read, and the error says why.
    fn reopen(&self, state: &mut State) -> Result<(), Error> {
        let opened = self.open(state, Mode::Writable).inspect_err(|_| {
            let _ = self.open(state, Mode::Frozen);
        });
        let salt = opened?.map(|position| position.salt());
        // The file may be behind the log by a half, and not by more.
        let is_of = |log: &Log| salt.is_some_and(|salt| [salt, log::next(&salt)].contains(&log.salt()));
        state.log = state.log.take().filter(is_of);
        Ok(())
    }

    /// Where the log goes on, if the file says that it has one.
    fn open(&self, state: &mut State, mode: Mode) -> Result<Option<Position>, Error> {
        // First it is closed, for all who still read it too.
        let _ = state.syncing.take().map(JoinHandle::join);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = None;
        state.open = None;
        let database = self.place.open(mode).map_err(|error| self.unopened(error))?;
        let snapshot = prepare(&database).and_then(|()| Snapshot::of(&database));
        let snapshot = snapshot.map_err(|error| self.fault(error))?;
        let (records, position) = self.records(&snapshot)?.unzip();
        let mut view = View::of(Arc::new(snapshot));
        state.version = view.snapshot.version;
        for record in records.unwrap_or_default() {
            state.version = record.version;
            view.layer.cover(record.layer);
        }
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Some(view);
        state.open = Some((mode, Arc::new(database)));
        Ok(position)
    }

    /// What only the log has, and where it goes on, if the file says that it has one.
    fn records(&self, snapshot: &Snapshot) -> Result<Option<(Vec<Record>, Position)>, Error> {
        let Some(salt) = snapshot.salt else { return Ok(None) };
        let read = |log: Option<Box<dyn StorageBackend>>| match log {
            Some(log) => log::read(&*log, self.place.log_bytes(), salt, snapshot.version),
            // Who took it away goes on without it.
            None => Ok((Vec::new(), Position::first(salt))),
        };
        let path = log::beside(&self.path);
        self.place.log().and_then(read).map(Some).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => Error::Corrupt { path, source: Arc::new(source) },
            _ => Error::Open { path, source: Arc::new(source) },
        })
    }

    /// The log as an earlier process left it. What was read from it may not all be on the disk.
    fn log(&self, position: Position) -> io::Result<Log> {
        let mut log = Log::new(self.place.make_log()?, self.place.log_bytes())?;
        log.go_on(position)?;
        Ok(log)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view(&self) -> RwLockReadGuard<'_, Option<View>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts why the file could not be opened in our words. A file that is none of ours is `InvalidData` to redb.
    fn unopened(&self, error: DatabaseError) -> Error {
        let path = self.path.clone();
        match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse { path },
            DatabaseError::Storage(redb::StorageError::Io(source))
                if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Error::Open { path, source: Arc::new(source) }
            }
            error => Error::Corrupt { path, source: Arc::new(io::Error::other(error)) },
        }
    }

    /// Puts what redb says in our words.
    fn fault(&self, error: redb::Error) -> Error {
        let path = self.path.clone();
        match error {
            redb::Error::Io(source) => Error::Io { path, source: Arc::new(source) },
            error @ redb::Error::Corrupted(_) => {
                Error::Corrupt { path, source: Arc::new(io::Error::other(error)) }
            }
            error => Error::Io { path, source: Arc::new(io::Error::other(error)) },
        }
    }
}
