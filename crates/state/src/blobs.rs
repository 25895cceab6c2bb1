//! Containers of objects up to a gigabyte, laid over any store.
//!
//! All of an app's objects are in one bucket of its own, so that what concerns several keys is one batch:
//!
//! | key | value |
//! |---|---|
//! | `c` container | when it was created |
//! | `o` length of the container's name, container, object | [`Head`]: which data it has, how much, since when |
//! | `d` data id, number of the chunk | a chunk |
//! | `g` data id | nothing: data that no object has, because it is being written or removed |
//! | `n` | the last data id |
//!
//! An object appears with the one batch that writes its head; data that no object has is collected when the blobs are
//! opened, which a process does once for each app.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::limits::{
    CHUNK_BYTES, CHUNKS_CLEARED_MAX, CHUNKS_IN_FLIGHT_MAX, CONTAINER_BYTES_MAX, OBJECT_BYTES_MAX,
    OBJECT_NAME_BYTES_MAX,
};
use crate::rows::milliseconds;
use crate::{
    Batch, Bucket, BucketSpec, Clock, Durability, Entry, Error, Expected, Page, Pending, Range, Store,
};

/// The bucket that holds an app's objects.
const BUCKET: &str = ".blobs";

/// The containers of one app.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn Store>,
    bucket: Bucket,
    now: Clock,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Bytes of its data.
    pub bytes: u64,
    /// When it was written, to the millisecond.
    pub created: SystemTime,
}

impl Blobs {
    /// Opens the containers of an app, and collects what a process left behind that died while it wrote. Once for
    /// each app and process. Blocks, as [`Store::open`].
    ///
    /// # Errors
    /// When a name is none, or the store cannot be written.
    pub fn open(
        store: Arc<dyn Store>,
        app: &str,
        durability: Durability,
        quota_bytes: Option<u64>,
        now: Clock,
    ) -> Result<Self, Error> {
        let bucket =
            Bucket::reserved(BucketSpec { quota_bytes, ..BucketSpec::new(app, BUCKET, durability) })?;
        store.open(&bucket)?;
        let blobs = Self { store, bucket, now };
        loop {
            let garbage = blobs.store.keys(&blobs.bucket, Range { prefix: b"g", ..Range::default() })?;
            for key in &garbage.items {
                while let Some(part) = blobs.clearing(&key[1..])? {
                    blobs.store.write(&blobs.bucket, part).wait()?;
                }
            }
            if garbage.next.is_none() {
                return Ok(blobs);
            }
        }
    }

    /// The same containers, with another quota for what is written from now on.
    ///
    /// # Errors
    /// None: the names are the same.
    pub fn with_quota(&self, quota_bytes: Option<u64>) -> Result<Self, Error> {
        let bucket = Bucket::reserved(BucketSpec { quota_bytes, ..self.bucket.spec().clone() })?;
        Ok(Self { bucket, ..self.clone() })
    }

    /// Makes a container. One that is there stays as it is.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be written.
    pub async fn create_container(&self, container: &str) -> Result<(), Error> {
        let key = container_key(container)?;
        let created = milliseconds((self.now)()).to_be_bytes().to_vec();
        match self.write(Batch::default().swap(key, Expected::Absent, Some(created))).await {
            Err(Error::Conflict { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// When the container was made, if it is there.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be read.
    pub fn container(&self, container: &str) -> Result<Option<SystemTime>, Error> {
        let entry = self.store.get(&self.bucket, &container_key(container)?)?;
        Ok(entry.and_then(|entry| Some(time(u64::from_be_bytes(entry.value.try_into().ok()?)))))
    }

    /// A page of containers, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn containers(&self, after: Option<&[u8]>, limit: usize) -> Result<Page<String>, Error> {
        self.names(b"c", after, limit)
    }

    /// Removes a container and every object in it. Removing one that is not there is no error.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be written.
    pub async fn remove_container(&self, container: &str) -> Result<(), Error> {
        // First the container: what is written from now on is refused.
        self.write(Batch::default().delete(container_key(container)?)).await?;
        loop {
            let objects = self.objects(container, None, 0)?;
            for object in &objects.items {
                self.remove(container, object).await?;
            }
            if objects.next.is_none() {
                return Ok(());
            }
        }
    }

    /// A page of the container's objects, by name.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be read.
    pub fn objects(
        &self,
        container: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page<String>, Error> {
        self.names(&objects_prefix(container)?, after, limit)
    }

    /// What is known of an object, if it is there.
    ///
    /// # Errors
    /// When a name is none, or the store cannot be read.
    pub fn info(&self, container: &str, object: &str) -> Result<Option<Info>, Error> {
        Ok(self.head(container, object)?.map(|(_, head)| head.info()))
    }

    /// Begins to write an object, which appears when it is [finished](Writing::finish). Until then, and if it never
    /// is, what was there stays.
    ///
    /// # Errors
    /// [`Error::NoContainer`]; when a name is none, or the store cannot be written.
    pub async fn write_object(&self, container: &str, object: &str) -> Result<Writing, Error> {
        let key = object_key(container, object)?;
        self.unchanged(container)?;
        let id = self.new_data().await?;
        let blobs = self.clone();
        let container = container.to_owned();
        Ok(Writing {
            blobs,
            container,
            key,
            id,
            buffer: Vec::new(),
            chunks: 0,
            bytes: 0,
            waiting: VecDeque::new(),
        })
    }

    /// Reads an object from byte `start` on, at most `length` bytes: a stream of chunks. An object that is replaced or
    /// removed meanwhile ends it with [`Error::NoObject`].
    ///
    /// # Errors
    /// [`Error::NoObject`]; when a name is none, or the store cannot be read.
    pub fn read(&self, container: &str, object: &str, start: u64, length: u64) -> Result<Reading, Error> {
        let Some((_, head)) = self.head(container, object)? else {
            return Err(Error::NoObject(object.to_owned()));
        };
        let end = start.saturating_add(length).min(head.bytes);
        Ok(Reading { blobs: self.clone(), object: object.to_owned(), id: head.id, at: start.min(end), end })
    }

    /// Removes an object. Removing one that is not there is no error.
    ///
    /// # Errors
    /// When a name is none, or the store cannot be written.
    pub async fn remove(&self, container: &str, object: &str) -> Result<(), Error> {
        let key = object_key(container, object)?;
        self.replace(&Batch::default(), &key, None).await
    }

    /// Copies an object, over what is there.
    ///
    /// # Errors
    /// [`Error::NoObject`], [`Error::NoContainer`]; when a name is none, or the store cannot be read or written.
    pub async fn copy(&self, from: (&str, &str), to: (&str, &str)) -> Result<(), Error> {
        let mut writing = self.write_object(to.0, to.1).await?;
        for chunk in self.read(from.0, from.1, 0, u64::MAX)? {
            writing.write(&chunk?).await?;
        }
        writing.finish().await
    }

    /// Moves an object, over what is there, without touching its data.
    ///
    /// # Errors
    /// [`Error::NoObject`], [`Error::NoContainer`]; [`Error::Conflict`] when it is changed at the same time; when a
    /// name is none, or the store cannot be read or written.
    pub async fn rename(&self, from: (&str, &str), to: (&str, &str)) -> Result<(), Error> {
        let Some((entry, head)) = self.head(from.0, from.1)? else {
            return Err(Error::NoObject(from.1.to_owned()));
        };
        let unchanged = self.unchanged(to.0)?;
        let (old, new) = (object_key(from.0, from.1)?, object_key(to.0, to.1)?);
        if old == new {
            return Ok(());
        }
        let moved = unchanged.swap(old, Expected::Version(entry.version), None);
        self.replace(&moved, &new, Some(head)).await
    }

    /// Adds to `batch` that `key` has this head, or none, and removes the data that it had.
    async fn replace(&self, batch: &Batch, key: &[u8], head: Option<Head>) -> Result<(), Error> {
        loop {
            let found = self.store.get(&self.bucket, key)?;
            let old = found.as_ref().and_then(|entry| Head::decode(&entry.value));
            let expected = found.map_or(Expected::Absent, |entry| Expected::Version(entry.version));
            let own = batch.ops.len();
            let mut batch = batch.clone().swap(key, expected, head.map(|head| head.encode()));
            if let Some(old) = old {
                batch = batch.put(garbage_key(old.id), []);
            }
            match self.write(batch).await {
                // Somebody else wrote the object in between: one of the two is the last.
                Err(Error::Conflict { op, .. }) if op == own => continue,
                result => result?,
            };
            return match old {
                Some(old) => self.clear(old.id).await,
                None => Ok(()),
            };
        }
    }

    /// A batch that fails unless the container stays as it is, so that no object comes into one that was removed.
    fn unchanged(&self, container: &str) -> Result<Batch, Error> {
        let key = container_key(container)?;
        match self.store.get(&self.bucket, &key)? {
            Some(entry) => Ok(Batch::default().check(key, Expected::Version(entry.version))),
            None => Err(Error::NoContainer(container.to_owned())),
        }
    }

    /// An id for new data, which is garbage until an object has it.
    async fn new_data(&self) -> Result<u64, Error> {
        loop {
            let found = self.store.get(&self.bucket, b"n")?;
            let last = found
                .as_ref()
                .and_then(|entry| Some(u64::from_be_bytes(entry.value.clone().try_into().ok()?)));
            let id = last.unwrap_or(0) + 1;
            let expected = found.map_or(Expected::Absent, |entry| Expected::Version(entry.version));
            let batch =
                Batch::default().swap(b"n", expected, Some(id.to_be_bytes().into())).put(garbage_key(id), []);
            match self.write(batch).await {
                // Somebody else took it.
                Err(Error::Conflict { .. }) => (),
                result => return result.map(|_| id),
            }
        }
    }

    /// Removes data that no object has.
    async fn clear(&self, id: u64) -> Result<(), Error> {
        while let Some(part) = self.clearing(&id.to_be_bytes())? {
            self.write(part).await?;
        }
        Ok(())
    }

    /// The next part of removing data; the last removes the note that it is garbage.
    fn clearing(&self, id: &[u8]) -> Result<Option<Batch>, Error> {
        let note = [b"g", id].concat();
        let prefix = [b"d", id].concat();
        let range = Range { prefix: &prefix, after: None, limit: CHUNKS_CLEARED_MAX };
        let chunks = self.store.keys(&self.bucket, range)?;
        if chunks.items.is_empty() && self.store.get(&self.bucket, &note)?.is_none() {
            return Ok(None);
        }
        let last = chunks.next.is_none();
        let batch = chunks.items.into_iter().fold(Batch::default(), Batch::delete);
        Ok(Some(if last { batch.delete(note) } else { batch }))
    }

    fn head(&self, container: &str, object: &str) -> Result<Option<(Entry, Head)>, Error> {
        let entry = self.store.get(&self.bucket, &object_key(container, object)?)?;
        Ok(entry.and_then(|entry| Head::decode(&entry.value).map(|head| (entry, head))))
    }

    fn names(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Page<String>, Error> {
        let after = after.map(|name| [prefix, name].concat());
        let page = self.store.keys(&self.bucket, Range { prefix, after: after.as_deref(), limit })?;
        let name = |key: &[u8]| String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        Ok(Page {
            items: page.items.iter().map(|key| name(key)).collect(),
            next: page.next.map(|key| key[prefix.len()..].to_vec()),
        })
    }

    fn write(&self, batch: Batch) -> Pending {
        self.store.write(&self.bucket, batch)
    }
}

/// An object being written. Dropped before it is finished, it leaves what was there.
pub struct Writing {
    blobs: Blobs,
    container: String,
    key: Vec<u8>,
    id: u64,
    buffer: Vec<u8>,
    chunks: u32,
    bytes: u64,
    waiting: VecDeque<Pending>,
}

impl Writing {
    /// Adds to the end.
    ///
    /// # Errors
    /// [`Error::Object`] when it becomes too large; when the store cannot be written.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if self.bytes > OBJECT_BYTES_MAX {
            return Err(Error::Object);
        }
        while !data.is_empty() {
            let (part, rest) = data.split_at(data.len().min(CHUNK_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(part);
            data = rest;
            if self.buffer.len() == CHUNK_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Makes it appear.
    ///
    /// # Errors
    /// [`Error::NoContainer`] when that was removed meanwhile; when the store cannot be written.
    pub async fn finish(mut self) -> Result<(), Error> {
        if !self.buffer.is_empty() {
            self.send().await?;
        }
        while let Some(pending) = self.waiting.pop_front() {
            pending.await?;
        }
        let batch = self.blobs.unchanged(&self.container)?.delete(garbage_key(self.id));
        let head = Head { id: self.id, bytes: self.bytes, created_ms: milliseconds((self.blobs.now)()) };
        match self.blobs.replace(&batch, &self.key, Some(head)).await {
            Err(Error::Conflict { op: 0, .. }) => Err(Error::NoContainer(self.container.clone())),
            result => result,
        }
    }

    /// Sends a chunk on its way, when not too many are.
    async fn send(&mut self) -> Result<(), Error> {
        if self.waiting.len() == CHUNKS_IN_FLIGHT_MAX
            && let Some(pending) = self.waiting.pop_front()
        {
            pending.await?;
        }
        let chunk = std::mem::take(&mut self.buffer);
        self.waiting
            .push_back(self.blobs.write(Batch::default().put(chunk_key(self.id, self.chunks), chunk)));
        self.chunks += 1;
        Ok(())
    }
}

impl Drop for Writing {
    /// Has the data removed, as long as it is garbage: once the object is finished, it is not, and nothing happens.
    fn drop(&mut self) {
        let note = garbage_key(self.id);
        let numbers: Vec<u32> = (0..self.chunks).collect();
        for part in numbers.chunks(CHUNKS_CLEARED_MAX) {
            let garbage = Batch::default().check(note.clone(), Expected::Value(Vec::new()));
            let batch = part.iter().fold(garbage, |batch, number| batch.delete(chunk_key(self.id, *number)));
            if self.blobs.write(batch).refused() {
                // What is left is collected when the blobs are opened the next time.
                return;
            }
        }
        drop(self.blobs.write(Batch::default().delete(note)));
    }
}

/// The bytes of an object, a chunk at a time.
pub struct Reading {
    blobs: Blobs,
    object: String,
    id: u64,
    at: u64,
    end: u64,
}

impl Iterator for Reading {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let chunk_bytes = CHUNK_BYTES as u64;
        let (number, from) = (self.at / chunk_bytes, self.at % chunk_bytes);
        let chunk = u32::try_from(number).ok().map(|number| chunk_key(self.id, number));
        let found = chunk.map_or(Ok(None), |key| self.blobs.store.get(&self.blobs.bucket, &key));
        let end = self.end;
        // A chunk that is not there, or too short: the object was replaced or removed.
        let part = found.and_then(|entry| {
            let chunk = entry.map(|entry| entry.value).unwrap_or_default();
            let to = chunk_bytes.min(end - number * chunk_bytes);
            let part = chunk
                .get(usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX));
            part.map(<[u8]>::to_vec).ok_or_else(|| Error::NoObject(self.object.clone()))
        });
        match &part {
            Ok(part) => self.at += part.len() as u64,
            Err(_) => self.at = self.end,
        }
        Some(part)
    }
}

/// What an object is: 24 bytes, three big-endian numbers.
#[derive(Clone, Copy)]
struct Head {
    id: u64,
    bytes: u64,
    created_ms: u64,
}

impl Head {
    fn encode(self) -> Vec<u8> {
        [self.id, self.bytes, self.created_ms].map(u64::to_be_bytes).concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (numbers, rest) = value.as_chunks::<8>();
        let [id, bytes, created_ms] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
        let [id, bytes, created_ms] = [id, bytes, created_ms].map(u64::from_be_bytes);
        rest.is_empty().then_some(Self { id, bytes, created_ms })
    }

    fn info(self) -> Info {
        Info { bytes: self.bytes, created: time(self.created_ms) }
    }
}

fn time(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn container_key(container: &str) -> Result<Vec<u8>, Error> {
    if container.is_empty() || container.len() > CONTAINER_BYTES_MAX {
        return Err(Error::BlobName(container.to_owned()));
    }
    Ok([b"c", container.as_bytes()].concat())
}

/// What the keys of a container's objects begin with.
fn objects_prefix(container: &str) -> Result<Vec<u8>, Error> {
    let key = container_key(container)?;
    // The length first, so that no container's objects are among another's.
    let length = u8::try_from(container.len()).unwrap_or(u8::MAX);
    Ok([b"o", [length].as_slice(), &key[1..]].concat())
}

fn object_key(container: &str, object: &str) -> Result<Vec<u8>, Error> {
    if object.is_empty() || object.len() > OBJECT_NAME_BYTES_MAX {
        return Err(Error::BlobName(object.to_owned()));
    }
    Ok([&objects_prefix(container)?, object.as_bytes()].concat())
}

fn chunk_key(id: u64, number: u32) -> Vec<u8> {
    [b"d".as_slice(), &id.to_be_bytes(), &number.to_be_bytes()].concat()
}

fn garbage_key(id: u64) -> Vec<u8> {
    [b"g".as_slice(), &id.to_be_bytes()].concat()
}
