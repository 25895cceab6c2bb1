//! A file as it is open now, and opened again after it failed, by whoever finds it so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase};

use crate::Error;
use crate::room::is_full;
use crate::rows::RowRef;
use crate::shelf::{BUCKETS, ROWS};
use crate::writer::prepare;

/// What a file lies on.
pub(crate) trait Place: Send + Sync {
    /// Opens the file, again after it failed.
    fn open(&self, mode: Mode) -> Result<Database, DatabaseError>;

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
    /// What was committed last; `None` while the file is not open.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
}

/// How a file is open; nothing, where it could not be.
type State = Option<(Mode, Database)>;

/// All that was committed at one time.
pub(crate) struct Snapshot {
    pub(crate) rows: ReadOnlyTable<&'static [u8], RowRef<'static>>,
    pub(crate) buckets: ReadOnlyTable<&'static [u8], (u64, u64)>,
}

impl Opened {
    /// Opens the file in its place. The path is only for errors.
    pub(crate) fn new(path: &Path, place: Box<dyn Place>) -> Result<Self, Error> {
        let (path, is_full) = (path.to_owned(), AtomicBool::new(false));
        let (state, snapshot) = (Mutex::default(), RwLock::default());
        let file = Self { path, place, is_full, state, snapshot };
        file.open(&mut file.state(), Mode::Writable)?;
        Ok(file)
    }

    /// Reads what was committed last. Who reads does not notice that a write failed, but has to wait until the file is
    /// open again.
    pub(crate) fn read<T>(&self, read: impl Fn(&Snapshot) -> Result<T, redb::Error>) -> Result<T, Error> {
        match self.snapshot().map(|snapshot| read(&snapshot)) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(error @ redb::Error::Corrupted(_))) => return Err(self.fault(error)),
            Some(Err(_)) | None => {}
        }
        // Once more while nobody writes: it may have failed because a write did.
        let mut state = self.state();
        if let Some(Ok(found)) = self.snapshot().map(|snapshot| read(&snapshot)) {
            return Ok(found);
        }
        let reopened = self.reopen(&mut state);
        match self.snapshot() {
            Some(snapshot) => read(&snapshot).map_err(|error| self.fault(error)),
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

    /// Changes the file, and makes what was committed visible.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        if !matches!(*state, Some((Mode::Writable, _))) {
            self.reopen(&mut state)?;
        }
        let Some((_, database)) = &*state else { return Err(Error::Closed) };
        match change(database).and_then(|changed| Ok((changed, Snapshot::of(database)?))) {
            Ok((changed, snapshot)) => {
                self.publish(Some(snapshot));
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

    /// Opens the file again. Where it cannot be written, it can at least be read, and the error says why.
    fn reopen(&self, state: &mut State) -> Result<(), Error> {
        self.open(state, Mode::Writable).inspect_err(|_| {
            let _ = self.open(state, Mode::Frozen);
        })
    }

    fn open(&self, state: &mut State, mode: Mode) -> Result<(), Error> {
        // First it is closed, for all who still read it too.
        self.publish(None);
        *state = None;
        let database = self.place.open(mode).map_err(|error| self.unopened(error))?;
        let prepared = prepare(&database).and_then(|()| Snapshot::of(&database));
        self.publish(Some(prepared.map_err(|error| self.fault(error))?));
        *state = Some((mode, database));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, snapshot: Option<Snapshot>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot.map(Arc::new);
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

impl Snapshot {
    fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        Ok(Self { rows: transaction.open_table(ROWS)?, buckets: transaction.open_table(BUCKETS)? })
    }
}
