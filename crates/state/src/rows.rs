//! What every back-end keeps, and how a page of it is read.

use std::ops::Bound;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_VISITS_MAX};
use crate::{Bucket, Entry, Page, Range, Usage};

/// When an entry expires that does not.
pub(crate) const NEVER: u64 = u64::MAX;

/// An entry as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) version: u64,
    /// Milliseconds since 1970, or [`NEVER`].
    pub(crate) expires_ms: u64,
    #[serde(with = "crate::octets")]
    pub(crate) value: Vec<u8>,
}

impl Row {
    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        (self.version, self.expires_ms, &self.value)
    }
}

/// An entry as it is kept, borrowed: version, [expiry](Row::expires_ms), value.
pub(crate) type RowRef<'a> = (u64, u64, &'a [u8]);

/// The rows of all buckets, while they are written. Places are [`Bucket::place`].
pub(crate) trait Rows {
    /// Why they cannot be read or written.
    type Fault;

    fn row(&self, place: &[u8]) -> Result<Option<Row>, Self::Fault>;
    fn set_row(&mut self, place: &[u8], row: Option<&Row>) -> Result<(), Self::Fault>;
    /// At most `max` places that begin with `prefix`.
    fn places(&self, prefix: &[u8], max: usize) -> Result<Vec<Vec<u8>>, Self::Fault>;

    /// Notes when the row at `place` expires, or forgets it.
    fn set_expiry(&mut self, expires_ms: u64, place: &[u8], noted: bool) -> Result<(), Self::Fault>;
    /// At most `max` places whose rows have expired.
    fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<Vec<u8>>, Self::Fault>;

    /// What the bucket holds; `None` if there is no such bucket.
    fn usage(&self, prefix: &[u8]) -> Result<Option<Usage>, Self::Fault>;
    fn set_usage(&mut self, prefix: &[u8], usage: Option<Usage>) -> Result<(), Self::Fault>;
    /// How many buckets' prefixes begin with `app`.
    fn buckets(&self, app: &[u8]) -> Result<usize, Self::Fault>;
}

pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(NEVER)
}

/// The bucket's part of a place. What is stored was made by [`Bucket::place`], so it has both lengths.
pub(crate) fn prefix_of(place: &[u8]) -> &[u8] {
    let app = usize::from(place[0]) + 1;
    let name = usize::from(place[app]) + 1;
    &place[..app + name]
}

/// Reads a page: `walk` calls its visitor with each place and row from a bound on, until it returns false.
pub(crate) fn page<T, Fault>(
    bucket: &Bucket,
    range: Range<'_>,
    now_ms: u64,
    walk: impl FnOnce(Bound<&[u8]>, &mut dyn FnMut(&[u8], RowRef<'_>) -> bool) -> Result<(), Fault>,
    make: impl Fn(&[u8], RowRef<'_>) -> (T, usize),
) -> Result<Page<T>, Fault> {
    let first = bucket.place(range.prefix);
    let after = range.after.map(|key| bucket.place(key)).filter(|after| *after >= first);
    let from = after.as_deref().map_or(Bound::Included(first.as_slice()), Bound::Excluded);
    let items_max = if range.limit == 0 { PAGE_ENTRIES_MAX } else { range.limit.min(PAGE_ENTRIES_MAX) };

    let mut page = Page { items: Vec::new(), next: None };
    let (mut bytes, mut visits, mut last) = (0, 0, Vec::new());
    walk(from, &mut |place, row| {
        if !place.starts_with(&first) {
            return false;
        }
        if page.items.len() == items_max || bytes >= PAGE_BYTES_MAX || visits == PAGE_VISITS_MAX {
            page.next = Some(std::mem::take(&mut last));
            return false;
        }
        visits += 1;
        let key = &place[bucket.prefix().len()..];
        last.clear();
        last.extend_from_slice(key);
        if row.1 > now_ms {
            let (item, item_bytes) = make(key, row);
            page.items.push(item);
            bytes += item_bytes;
        }
        true
    })?;
    Ok(page)
}

/// An item of a page: a key with its entry.
pub(crate) fn whole(key: &[u8], (version, _, value): RowRef<'_>) -> ((Vec<u8>, Entry), usize) {
    ((key.to_vec(), Entry { value: value.to_vec(), version }), key.len() + value.len())
}

/// An item of a page: a key alone.
pub(crate) fn key_only(key: &[u8], _: RowRef<'_>) -> (Vec<u8>, usize) {
    (key.to_vec(), key.len())
}

/// What the prefixes of an app's buckets begin with.
pub(crate) fn app_prefix(app: &str) -> Vec<u8> {
    // No app has a longer name, so none is found under the length that stands for it.
    let length = u8::try_from(app.len()).unwrap_or(u8::MAX);
    [&[length], app.as_bytes()].concat()
}

/// The name of the bucket with this prefix, if it is the app's.
pub(crate) fn bucket_name(app: &[u8], prefix: &[u8]) -> Option<String> {
    prefix.strip_prefix(app).map(|name| String::from_utf8_lossy(&name[1..]).into_owned())
}
