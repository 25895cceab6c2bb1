//! Containers of objects up to a gigabyte, each laid over a bucket of its own.
//!
//! What concerns several keys of a container is one batch:
//!
//! | key | value |
//! |---|---|
//! | `c` | when it was created |
//! | `o` object | [`Head`]: which data it has, how much, since when |
//! | `d` data id, number of the chunk | a chunk |
//! | `g` data id | nothing: data that no object has, because it is being written or removed |
//! | `n` | the last data id |
//!
//! An object appears with the one batch that writes its head; data that no object has is collected when the container is
//! opened, which a process does once for each. Whoever may write the bucket itself can write nonsense into it: then
//! objects of this container are not what they were, and nothing else happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::limits::{
    CHUNK_BYTES, CHUNKS_CLEARED_MAX, CHUNKS_IN_FLIGHT_MAX, CONTAINER_BYTES_MAX, OBJECT_BYTES_MAX,
    OBJECT_NAME_BYTES_MAX,
};
use crate::rows::milliseconds;
use crate::{Batch, Bucket, BucketSpec, Clock, Entry, Error, Expected, Page, Pending, Range, Store};

/// What the names of the containers' buckets begin with.
const BUCKETS: &str = ".blobs/";

/// The key of when a container was created.
const CREATED: &[u8] = b"c";

/// A container of objects. Cheap to clone.
#[derive(Clone)]
pub struct Container {
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

impl Container {
    /// The container of this name, app, durability and quota, which somebody [opens](Self::open).
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(store: Arc<dyn Store>, spec: BucketSpec, now: Clock) -> Result<Self, Error> {
        if spec.name.is_empty() || spec.name.len() > CONTAINER_BYTES_MAX {
            return Err(Error::BlobName(spec.name));
        }
        let bucket = Bucket::reserved(BucketSpec { name: [BUCKETS, &spec.name].concat(), ..spec })?;
        Ok(Self { store, bucket, now })
    }

    /// Makes its bucket if it is not there, and collects what a process left behind that died while it wrote. Once in each
    /// process. Blocks, as [`Store::open`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn open(&self) -> Result<(), Error> {
        self.store.open(&self.bucket)?;
        let mut after = None;
        loop {
            let range = Range { prefix: b"g", after: after.as_deref(), limit: 0 };
            let garbage = self.store.keys(&self.bucket, range)?;
            for key in &garbage.items {
                let Ok(id) = key[1..].try_into() else { continue };
                while let Some(part) = self.clearing(u64::from_be_bytes(id))? {
                    self.write(part).wait()?;
                }
            }
            after = garbage.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.bucket.spec().name[BUCKETS.len()..]
    }

    /// The bucket that it lies over.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Creates it. One that is there stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn create(&self) -> Result<(), Error> {
        let created = milliseconds((self.now)()).to_be_bytes().to_vec();
        match self.write(Batch::default().swap(CREATED, Expected::Absent, Some(created))).await {
            Err(Error::Conflict { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// When it was created, if it is there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn created(&self) -> Result<Option<SystemTime>, Error> {
        let entry = self.store.get(&self.bucket, CREATED)?;
        Ok(entry.and_then(|entry| Some(time(u64::from_be_bytes(entry.value.try_into().ok()?)))))
    }

    /// Removes it, and every object in it. Removing one that is not there is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn remove(&self) -> Result<(), Error> {
        // First the container: what is written from now on is refused.
        self.write(Batch::default().delete(CREATED)).await?;
        let mut after = None;
        loop {
            let range = Range { prefix: b"o", after: after.as_deref(), limit: 0 };
            let objects = self.store.keys(&self.bucket, range)?;
            for key in &objects.items {
                self.replace(&Batch::default(), key, None).await?;
            }
            after = objects.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A page of its objects, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn objects(&self, after: Option<&[u8]>, limit: usize) -> Result<Page<String>, Error> {
        let after = after.map(|name| [b"o", name].concat());
        let page = self.store.keys(&self.bucket, Range { prefix: b"o", after: after.as_deref(), limit })?;
        let name = |key: &[u8]| String::from_utf8_lossy(&key[1..]).into_owned();
        Ok(Page {
            items: page.items.iter().map(|key| name(key)).collect(),
            next: page.next.map(|key| key[1..].to_vec()),
        })
    }

    /// What is known of an object, if it is there.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be read.
    pub fn info(&self, object: &str) -> Result<Option<Info>, Error> {
        Ok(self.head(object)?.map(|(_, head)| head.info()))
    }

    /// Begins to write an object, which appears when it is [finished](Writing::finish). Until then, and if it never
    /// is, what was there stays.
    ///
    /// # Errors
    /// [`Error::NoContainer`]; when the name is none, or the store cannot be written.
    pub async fn write_object(&self, object: &str) -> Result<Writing, Error> {
        let key = object_key(object)?;
        self.unchanged()?;
        let id = self.new_data().await?;
        Ok(Writing {
            container: self.clone(),
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
    /// [`Error::NoObject`]; when the name is none, or the store cannot be read.
    pub fn read(&self, object: &str, start: u64, length: u64) -> Result<Reading, Error> {
        let Some((_, head)) = self.head(object)? else {
            return Err(Error::NoObject(object.to_owned()));
        };
        Ok(self.reading(object, head, start, length))
    }

    fn reading(&self, object: &str, head: Head, start: u64, length: u64) -> Reading {
        let end = start.saturating_add(length).min(head.bytes);
        Reading { container: self.clone(), object: object.to_owned(), id: head.id, at: start.min(end), end }
    }

    /// Removes an object. Removing one that is not there is no error.
    ///
    /// # Errors
    /// When its name is none, or the store cannot be written.
    pub async fn remove_object(&self, object: &str) -> Result<(), Error> {
        self.replace(&Batch::default(), &object_key(object)?, None).await
    }

    /// Copies an object, over what is there.
    ///
    /// # Errors
    /// [`Error::NoObject`], [`Error::NoContainer`]; when a name is none, or the store cannot be read or written.
    pub async fn copy(&self, object: &str, to: (&Self, &str)) -> Result<(), Error> {
        copy(self.read(object, 0, u64::MAX)?, to).await
    }

    /// Moves an object, over what is there: within the container without touching its data, into another one by a copy,
    /// so that for a moment, or when it fails there, the object is in both.
    ///
    /// # Errors
    /// [`Error::NoObject`], [`Error::NoContainer`]; [`Error::Conflict`] when it is changed at the same time; when a
    /// name is none, or the store cannot be read or written.
    pub async fn rename(&self, object: &str, to: (&Self, &str)) -> Result<(), Error> {
        let Some((entry, head)) = self.head(object)? else {
            return Err(Error::NoObject(object.to_owned()));
        };
        let (old, new) = (object_key(object)?, object_key(to.1)?);
        let unchanged = Expected::Version(entry.version);
        if self.bucket.prefix() != to.0.bucket.prefix() {
            copy(self.reading(object, head, 0, u64::MAX), to).await?;
            let gone = Batch::default().swap(old, unchanged, None).put(garbage_key(head.id), []);
            self.write(gone).await?;
            return self.clear(head.id).await;
        }
        let moved = self.unchanged()?;
        if old == new {
            return Ok(());
        }
        self.replace(&moved.swap(old, unchanged, None), &new, Some(head)).await
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
    fn unchanged(&self) -> Result<Batch, Error> {
        match self.store.get(&self.bucket, CREATED)? {
            Some(entry) => Ok(Batch::default().check(CREATED, Expected::Version(entry.version))),
            None => Err(Error::NoContainer(self.name().to_owned())),
        }
    }

    /// An id for new data, which is garbage until an object has it.
    async fn new_data(&self) -> Result<u64, Error> {
        loop {
            let found = self.store.get(&self.bucket, b"n")?;
            let last = found
                .as_ref()
                .and_then(|entry| Some(u64::from_be_bytes(entry.value.clone().try_into().ok()?)));
            let id = last.unwrap_or(0).wrapping_add(1);
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
        while let Some(part) = self.clearing(id)? {
            self.write(part).await?;
        }
        Ok(())
    }

    /// The next part of removing data; the last removes the note that it is garbage.
    fn clearing(&self, id: u64) -> Result<Option<Batch>, Error> {
        let note = garbage_key(id);
        let prefix = [b"d".as_slice(), &id.to_be_bytes()].concat();
        let range = Range { prefix: &prefix, after: None, limit: CHUNKS_CLEARED_MAX };
        let chunks = self.store.keys(&self.bucket, range)?;
        if chunks.items.is_empty() && self.store.get(&self.bucket, &note)?.is_none() {
            return Ok(None);
        }
        let last = chunks.next.is_none();
        let batch = chunks.items.into_iter().fold(Batch::default(), Batch::delete);
        Ok(Some(if last { batch.delete(note) } else { batch }))
    }

    fn head(&self, object: &str) -> Result<Option<(Entry, Head)>, Error> {
        let entry = self.store.get(&self.bucket, &object_key(object)?)?;
        Ok(entry.and_then(|entry| Head::decode(&entry.value).map(|head| (entry, head))))
    }

    fn write(&self, batch: Batch) -> Pending {
        self.store.write(&self.bucket, batch)
    }
}

async fn copy(from: Reading, (container, object): (&Container, &str)) -> Result<(), Error> {
    let mut writing = container.write_object(object).await?;
    for chunk in from {
        writing.write(&chunk?).await?;
    }
    writing.finish().await
}

/// An object being written. Dropped before it is finished, it leaves what was there.
pub struct Writing {
    container: Container,
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
        let batch = self.container.unchanged()?.delete(garbage_key(self.id));
        let head = Head { id: self.id, bytes: self.bytes, created_ms: milliseconds((self.container.now)()) };
        match self.container.replace(&batch, &self.key, Some(head)).await {
            Err(Error::Conflict { op: 0, .. }) => Err(Error::NoContainer(self.container.name().to_owned())),
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
            .push_back(self.container.write(Batch::default().put(chunk_key(self.id, self.chunks), chunk)));
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
            if self.container.write(batch).refused() {
                // What is left is collected when the blobs are opened the next time.
                return;
            }
        }
        drop(self.container.write(Batch::default().delete(note)));
    }
}

/// The bytes of an object, a chunk at a time.
pub struct Reading {
    container: Container,
    object: String,
    id: u64,
    at: u64,
    end: u64,
}

impl Reading {
    /// Bytes that are still to come.
    pub fn bytes(&self) -> u64 {
        self.end - self.at
    }
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
        let found = chunk.map_or(Ok(None), |key| self.container.store.get(&self.container.bucket, &key));
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

fn object_key(object: &str) -> Result<Vec<u8>, Error> {
    if object.is_empty() || object.len() > OBJECT_NAME_BYTES_MAX {
        return Err(Error::BlobName(object.to_owned()));
    }
    Ok([b"o", object.as_bytes()].concat())
}

fn chunk_key(id: u64, number: u32) -> Vec<u8> {
    [b"d".as_slice(), &id.to_be_bytes(), &number.to_be_bytes()].concat()
}

fn garbage_key(id: u64) -> Vec<u8> {
    [b"g".as_slice(), &id.to_be_bytes()].concat()
}
