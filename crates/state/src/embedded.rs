//! The back-end that keeps buckets in files of one directory: one file for each durability class.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend};

use crate::apply::Task;
use crate::frozen::Frozen;
use crate::limits::{CACHE_BYTES_MAX, LOG_BYTES};
use crate::log;
use crate::opened::{Mode, Place};
use crate::room::probe;
use crate::rows::{key_only, whole};
use crate::shelf::Shelf;
use crate::store::reserved;
use crate::{
    Batch, Bucket, Clock, Durability, Entry, Error, Memory, Page, Pending, Range, Store, Usage, Watch,
};

/// Buckets in files.
pub struct Embedded {
    disk: Class,
    os: Class,
    memory: Memory,
    /// Held as long as the files are open, so it is the last to be dropped.
    _lock: File,
}

impl Embedded {
    /// Opens the store in `directory`, which is made, for its user alone, if it is not there.
    ///
    /// # Errors
    /// [`Error::InUse`] when it is open elsewhere; [`Error::Corrupt`] when a file of it is damaged; [`Error::Open`]
    /// when the directory or a file cannot be made or opened.
    pub fn open(directory: &Path, now: Clock) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: directory.to_owned(), source: Arc::new(source) };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = private().open(directory.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse { path: directory.to_owned() },
            TryLockError::Error(source) => failed(source),
        })?;
        let class = |durability| Class::open(directory, durability, Arc::clone(&now));
        let (disk, os) = (class(Durability::Disk)?, class(Durability::Os)?);
        Ok(Self { disk, os, memory: Memory::new(now), _lock: lock })
    }

    /// The file for a durability class; `None` for the class that has none.
    fn class(&self, durability: Durability) -> Option<&Class> {
        match durability {
            Durability::Disk => Some(&self.disk),
            Durability::Os => Some(&self.os),
            Durability::Memory => None,
        }
    }

    /// The file that a bucket is in, or is to be in; `None` for one in memory.
    fn shelf(&self, bucket: &Bucket) -> Result<Option<&Shelf>, Error> {
        self.class(bucket.spec().durability).map(Class::made).transpose()
    }

    /// The durability class, other than the bucket's own, in which a bucket of this name is kept.
    fn kept_elsewhere(&self, bucket: &Bucket) -> Result<Option<Durability>, Error> {
        for kept in [Durability::Disk, Durability::Os, Durability::Memory] {
            let there = match self.class(kept) {
                Some(class) => match class.shelf.get() {
                    Some(shelf) => shelf.usage(bucket)?.is_some(),
                    None => false,
                },
                None => self.memory.usage(bucket).is_ok(),
            };
            if there && kept != bucket.spec().durability {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }
}

impl Store for Embedded {
    fn open(&self, bucket: &Bucket) -> Result<(), Error> {
        let asked = bucket.spec().durability;
        if let Some(kept) = self.kept_elsewhere(bucket)? {
            return Err(Error::Durability { bucket: bucket.label(), kept, asked });
        }
        match self.shelf(bucket)? {
            // A bucket that is there costs no commit.
            Some(shelf) if shelf.usage(bucket)?.is_some() => Ok(()),
            Some(shelf) => shelf.submit(bucket, Task::Create, 0).wait().map(drop),
            None => self.memory.open(bucket),
        }
    }

    fn buckets(&self, app: &str) -> Result<Vec<String>, Error> {
        let mut names = self.memory.buckets(app)?;
        for shelf in [&self.disk, &self.os].into_iter().filter_map(|class| class.shelf.get()) {
            names.extend(shelf.buckets(app)?.into_iter().filter(|name| !reserved(name)));
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, bucket: &Bucket) -> Result<(), Error> {
        let Some(shelf) = self.shelf(bucket)? else { return self.memory.remove(bucket) };
        while shelf.usage(bucket)?.is_some() {
            shelf.submit(bucket, Task::Clear, 0).wait()?;
        }
        Ok(())
    }

    fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error> {
        match self.shelf(bucket)? {
            Some(shelf) => shelf.get(bucket, key),
            None => self.memory.get(bucket, key),
        }
    }

    fn scan(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<(Vec<u8>, Entry)>, Error> {
        match self.shelf(bucket)? {
            Some(shelf) => shelf.page(bucket, range, whole),
            None => self.memory.scan(bucket, range),
        }
    }

    fn keys(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<Vec<u8>>, Error> {
        match self.shelf(bucket)? {
            Some(shelf) => shelf.page(bucket, range, key_only),
            None => self.memory.keys(bucket, range),
        }
    }

    fn usage(&self, bucket: &Bucket) -> Result<Usage, Error> {
        match self.shelf(bucket)? {
            Some(shelf) => shelf.usage(bucket)?.ok_or_else(|| Error::NoBucket(bucket.label())),
            None => self.memory.usage(bucket),
        }
    }

    fn write(&self, bucket: &Bucket, batch: Batch) -> Pending {
        match self.shelf(bucket) {
            Ok(Some(shelf)) => shelf.write(bucket, batch),
            Ok(None) => self.memory.write(bucket, batch),
            Err(error) => Pending::done(Err(error)),
        }
    }

    fn watch(&self, bucket: &Bucket) -> Result<Watch, Error> {
        match self.shelf(bucket)? {
            Some(shelf) => shelf.watches().watch(bucket),
            None => self.memory.watch(bucket),
        }
    }
}

/// The file of a durability class. It is made for the first bucket of the class: most apps need one class, or none.
struct Class {
    path: PathBuf,
    durability: Durability,
    now: Clock,
    shelf: OnceLock<Shelf>,
    making: Mutex<()>,
}

impl Class {
    /// Opens the file, if it is there.
    fn open(directory: &Path, durability: Durability, now: Clock) -> Result<Self, Error> {
        let path = directory.join(format!("{durability}.redb"));
        let class = Self { path, durability, now, shelf: OnceLock::new(), making: Mutex::new(()) };
        let failed = |source| Error::Open { path: class.path.clone(), source: Arc::new(source) };
        if fs::exists(&class.path).map_err(failed)? {
            class.made()?;
        }
        Ok(class)
    }

    /// The file, open; made, if it is not there.
    fn made(&self) -> Result<&Shelf, Error> {
        if let Some(shelf) = self.shelf.get() {
            return Ok(shelf);
        }
        let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = self.shelf.get() {
            return Ok(shelf);
        }
        let place = InDirectory { path: self.path.clone(), durability: self.durability };
        let shelf = Shelf::open(&self.path, Box::new(place), Arc::clone(&self.now))?;
        Ok(self.shelf.get_or_init(|| shelf))
    }
}

/// How files of a store are made and opened: for the user alone, and never emptied.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// A file of a directory.
struct InDirectory {
    path: PathBuf,
    durability: Durability,
}

impl Place for InDirectory {
    fn open(&self, mode: Mode) -> Result<Database, DatabaseError> {
        let path = &self.path;
        if mode == Mode::Writable && !fs::exists(path)? {
            make(path)?;
        }
        let file = match mode {
            Mode::Writable => private().open(path)?,
            Mode::Frozen => File::open(path)?,
        };
        // To redb an empty file is a new one; here new ones are never empty, so something was lost.
        if file.metadata()?.len() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty").into());
        }
        let file = FileBackend::new(file)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES_MAX);
        match (mode, self.durability) {
            (Mode::Frozen, _) => builder.create_with_backend(Frozen::new(file)?),
            (Mode::Writable, Durability::Disk) => builder.create_with_backend(file),
            (Mode::Writable, Durability::Os | Durability::Memory) => {
                builder.create_with_backend(Unsynced(file))
            }
        }
    }

    fn log(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match File::open(log::beside(&self.path)) {
            Ok(file) => Ok(Some(Box::new(backend(file)?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = backend(private().open(log::beside(&self.path))?)?;
        sync_directory_of(&self.path)?;
        Ok(match self.durability {
            Durability::Disk => Box::new(file),
            Durability::Os | Durability::Memory => Box::new(Unsynced(file)),
        })
    }

    fn log_bytes(&self) -> usize {
        LOG_BYTES
    }

    fn probe(&self, bytes: usize) -> io::Result<()> {
        probe(&self.path, bytes)
    }
}

/// Makes a new file beside its place and renames it, so that a file that is there is whole.
fn make(path: &Path) -> Result<(), DatabaseError> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => (),
    }
    drop(Database::builder().create_with_backend(FileBackend::new(private().open(&beside)?)?)?);
    fs::rename(&beside, path)?;
    Ok(sync_directory_of(path)?)
}

fn backend(file: File) -> io::Result<FileBackend> {
    FileBackend::new(file).map_err(io::Error::other)
}

/// Sees that a file that was made is there after a loss of power.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// A file that is written and not synced: it survives the process, which redb's own `Durability::None` does not, for
/// that keeps commits in the memory of the process.
#[derive(Debug)]
struct Unsynced(FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
