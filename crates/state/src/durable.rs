//! How a change of a file becomes durable: by a record in the log, and when a half of that is full, by syncing the file
//! while the log goes on in the other half.

use std::io;
use std::iter;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{Database, StorageError};

use crate::draft::Draft;
use crate::log::{self, Log, Record, Salt};
use crate::opened::{Mode, Opened};
use crate::tables::{Snapshot, store};
use crate::view::View;

/// How a file is written.
#[derive(Default)]
pub(crate) struct State {
    /// Nothing, where it could not be opened.
    pub(crate) open: Option<(Mode, Arc<Database>)>,
    /// Nothing before it is begun, and after it failed: of what was not synced then, nobody knows what is on the disk. Then the
    /// file is synced before the log begins again.
    pub(crate) log: Option<Log>,
    /// Whoever syncs the file with the frozen layer meanwhile, and what is in it then.
    pub(crate) syncing: Option<JoinHandle<Result<Snapshot, redb::Error>>>,
    /// The last version that was given.
    pub(crate) version: u64,
}

impl Opened {
    /// Syncs the file, so that it does without its log, if it can be. What it cannot take stays in the log.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        let _ = self.end_sync(&mut state);
        if let (Some((Mode::Writable, database)), Some(view)) = (&state.open, &*self.view())
            && view.snapshot.salt.is_some()
        {
            let _ = store(database, view.layers(), state.version, None);
        }
        // The file may no longer say that there is one.
        state.log = None;
    }

    /// Makes a change durable, and then visible.
    pub(crate) fn make_durable<T>(
        &self,
        state: &mut State,
        only_removes: bool,
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, StorageError>,
    ) -> Result<T, redb::Error> {
        if state.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end_sync(state)?;
        }
        let (changed, record) = {
            let view = self.view();
            let mut draft = Draft::of(view.as_ref().ok_or_else(closed)?, state.version);
            (change(&mut draft)?, draft.finish())
        };
        if record.layer.is_empty() {
            return Ok(changed);
        }
        state.version = record.version;
        if append(state, &record, only_removes)? || self.turn(state, &record, only_removes)? {
            self.show(|view| view.layer.cover(record.layer))?;
        } else {
            self.sync(state, &record)?;
        }
        Ok(changed)
    }

    /// Has the file synced with what is in the log, and goes on in the other half. `false` where there is no log, the record
    /// is too long for a half, or the file is too far behind.
    fn turn(&self, state: &mut State, record: &Record, only_removes: bool) -> Result<bool, redb::Error> {
        self.end_sync(state)?;
        let (Some(log), Some((_, database))) = (&mut state.log, &state.open) else { return Ok(false) };
        let mut frozen = None;
        self.show(|view| {
            if view.snapshot.salt == Some(log.salt()) && !view.layer.is_empty() {
                frozen = Some(view.freeze());
            }
        })?;
        let Some(frozen) = frozen else { return Ok(false) };
        let (database, version, salt) = (Arc::clone(database), record.before, log::next(&log.salt()));
        log.turn(salt);
        let sync = move || {
            store(&database, iter::once(&*frozen), version, Some(salt))?;
            Snapshot::of(&database)
        };
        state.syncing = Some(thread::Builder::new().name("state sync".to_owned()).spawn(sync)?);
        Ok(append(state, record, only_removes)?)
    }

    /// Syncs the file with all there is and a record, after which the log begins again.
    fn sync(&self, state: &mut State, record: &Record) -> Result<(), redb::Error> {
        self.end_sync(state)?;
        let Some((_, database)) = &state.open else { return Err(closed().into()) };
        let (salt, new) = match &state.log {
            Some(log) => (log::next(&log.salt()), None),
            None => {
                let mut salt = Salt::default();
                getrandom::fill(&mut salt).map_err(io::Error::other)?;
                (salt, Some(Log::new(self.place.make_log()?, self.place.log_bytes())?))
            }
        };
        {
            let view = self.view();
            let layers = view.as_ref().ok_or_else(closed)?.layers().chain([&record.layer]);
            store(database, layers, record.version, Some(salt))?;
        }
        let snapshot = Arc::new(Snapshot::of(database)?);
        state.log = state.log.take().or(new);
        state.log.iter_mut().for_each(|log| log.turn(salt));
        self.show(|view| *view = View::of(snapshot))
    }

    /// Waits until the file is synced, where it is being synced.
    fn end_sync(&self, state: &mut State) -> Result<(), redb::Error> {
        let Some(syncing) = state.syncing.take() else { return Ok(()) };
        let snapshot = syncing.join().map_err(|_| io::Error::other("who synced it panicked"))??;
        self.show(|view| (view.snapshot, view.frozen) = (Arc::new(snapshot), None))
    }

    /// Changes what readers see.
    fn show(&self, change: impl FnOnce(&mut View)) -> Result<(), redb::Error> {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        change(view.as_mut().ok_or_else(closed)?);
        Ok(())
    }
}

/// Puts a record into the log. `false` where there is none, or this half of it has no room.
fn append(state: &mut State, record: &Record, only_removes: bool) -> io::Result<bool> {
    let appended = state.log.as_mut().map_or(Ok(false), |log| log.append(record, only_removes));
    if appended.is_err() {
        state.log = None;
    }
    appended
}

fn closed() -> io::Error {
    io::Error::other("it is closed")
}
