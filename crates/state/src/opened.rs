//! A file as it is open now, and opened again after it failed, by whoever finds it so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use redb::{Database, DatabaseError, StorageBackend, StorageError};

use crate::Error;
use crate::draft::Draft;
use crate::layer::Layer;
use crate::log::{self, Log, Record, Salt};
use crate::room::is_full;
use crate::tables::{Snapshot, prepare, store};
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
    place: Box<dyn Place>,
    /// Whether the last write found no room.
    is_full: AtomicBool,
    /// Locked as long as a write is on its way.
    state: Mutex<State>,
    /// What was made durable last; `None` while the file is not open.
    view: RwLock<Option<View>>,
}

/// How a file is written.
#[derive(Default)]
struct State {
    /// Nothing, where it could not be opened.
    open: Option<(Mode, Database)>,
    /// Nothing before it is begun, and after it failed: of what was not synced then, nobody knows what is on the disk. Then the
    /// file is synced before the log begins again.
    log: Option<Log>,
    /// The last version that was given.
    version: u64,
}

/// How a write was made durable, and how readers come to see it.
enum Written {
    /// It changed nothing.
    Nothing,
    /// The log has what it changed.
    Logged(Layer),
    /// The file has all there is.
    Synced(Arc<Snapshot>),
}

impl Opened {
    /// Opens the file in its place. The path is only for errors.
    pub(crate) fn new(path: &Path, place: Box<dyn Place>) -> Result<Self, Error> {
        let (path, is_full) = (path.to_owned(), AtomicBool::new(false));
        let (state, view) = (Mutex::default(), RwLock::default());
        let file = Self { path, place, is_full, state, view };
        let mut state = file.state();
        if let Some((salt, end)) = file.open(&mut state, Mode::Writable)? {
            state.log = file.log(salt, end).ok();
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
        let view = || {
            let part = |view: &View| View { snapshot: Arc::clone(&view.snapshot), layer: part(&view.layer) };
            self.view().as_ref().map(part)
        };
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
        let view = self.view();
        let Some(seen) = &*view else { return Err(Error::Closed) };
        let written = self.make_durable(&mut state, seen, only_removes, change);
        drop(view);
        match written {
            Ok((changed, written)) => {
                self.show(written);
                self.is_full.store(false, Ordering::Relaxed);
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

    /// Syncs the file, so that it does without its log, if it can be. What it cannot take stays in the log.
    pub(crate) fn settle(&self) {
        let state = self.state();
        if let (Some((Mode::Writable, database)), Some(view)) = (&state.open, &*self.view())
            && view.snapshot.salt.is_some()
        {
            let _ = store(database, [&view.layer, &Layer::default()], state.version, None);
        }
    }

    fn make_durable<T>(
        &self,
        state: &mut State,
        view: &View,
        only_removes: bool,
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, StorageError>,
    ) -> Result<(T, Written), redb::Error> {
        let mut draft = Draft::of(view, state.version);
        let changed = change(&mut draft)?;
        let record = draft.finish();
        if record.layer.is_empty() {
            return Ok((changed, Written::Nothing));
        }
        state.version = record.version;
        if let Some(mut log) = state.log.take() {
            let is_logged = log.append(&record, only_removes)?;
            state.log = Some(log);
            if is_logged {
                return Ok((changed, Written::Logged(record.layer)));
            }
        }
        let Some((_, database)) = &state.open else { return Err(io::Error::other("it is closed").into()) };
        let mut salt = Salt::default();
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        let new = match &state.log {
            Some(_) => None,
            None => Some(Log::new(self.place.make_log()?, self.place.log_bytes())?),
        };
        store(database, [&view.layer, &record.layer], state.version, Some(salt))?;
        state.log = state.log.take().or(new);
        state.log.iter_mut().for_each(|log| log.begin(salt));
        Ok((changed, Written::Synced(Arc::new(Snapshot::of(database)?))))
    }

    /// Shows readers what was written.
    fn show(&self, written: Written) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        match (written, &mut *view) {
            (Written::Logged(layer), Some(view)) => view.layer.cover(layer),
            (Written::Synced(snapshot), current) => {
                let layer = Layer::default();
                let before = current.replace(View { snapshot, layer });
                drop(view);
                drop(before);
            }
            (Written::Nothing | Written::Logged(_), _) => {}
        }
    }

    /// Opens the file again. Where it cannot be written, it can at least be read, and the error says why.
    fn reopen(&self, state: &mut State) -> Result<(), Error> {
        let opened = self.open(state, Mode::Writable).inspect_err(|_| {
            let _ = self.open(state, Mode::Frozen);
        });
        match (opened?, &mut state.log) {
            // It may have been synced, though it failed.
            (Some((salt, _)), Some(log)) => log.begin(salt),
            _ => state.log = None,
        }
        Ok(())
    }

    /// The salt of the log, if the file says that it has one, and where it ends.
    fn open(&self, state: &mut State, mode: Mode) -> Result<Option<(Salt, usize)>, Error> {
        // First it is closed, for all who still read it too.
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = None;
        state.open = None;
        let database = self.place.open(mode).map_err(|error| self.unopened(error))?;
        let snapshot = prepare(&database).and_then(|()| Snapshot::of(&database));
        let snapshot = Arc::new(snapshot.map_err(|error| self.fault(error))?);
        let (records, log_end) = self.records(&snapshot)?;
        state.version = records.last().map_or(snapshot.version, |record| record.version);
        let mut layer = Layer::default();
        records.into_iter().for_each(|record| layer.cover(record.layer));
        let log = snapshot.salt.map(|salt| (salt, log_end));
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Some(View { snapshot, layer });
        state.open = Some((mode, database));
        Ok(log)
    }

    /// What only the log has, and where it ends.
    fn records(&self, snapshot: &Snapshot) -> Result<(Vec<Record>, usize), Error> {
        let Some(salt) = &snapshot.salt else { return Ok(Default::default()) };
        let read = |log: Box<dyn StorageBackend>| log::read(&*log, self.place.log_bytes(), salt);
        // Who took the log away goes on without it.
        let records = self.place.log().and_then(|log| log.map_or_else(|| Ok(Default::default()), read));
        let path = log::beside(&self.path);
        records.map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => Error::Corrupt { path, source: Arc::new(source) },
            _ => Error::Open { path, source: Arc::new(source) },
        })
    }

    /// The log as an earlier process left it. What was read from it may not all be on the disk.
    fn log(&self, salt: Salt, end: usize) -> io::Result<Log> {
        let mut log = Log::new(self.place.make_log()?, self.place.log_bytes())?;
        log.go_on(salt, end)?;
        Ok(log)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> RwLockReadGuard<'_, Option<View>> {
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
