//! A file and what lies over it, read as one.

use std::ops::Bound;
use std::sync::Arc;

use redb::StorageError;

use crate::Usage;
use crate::layer::Layer;
use crate::rows::RowRef;
use crate::tables::Snapshot;

/// A file as it was last synced, and what was changed since, or a part of that.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    /// What the file is being synced with.
    pub(crate) frozen: Option<Arc<Layer>>,
    /// What was changed after that.
    pub(crate) layer: Layer,
}

impl View {
    /// A file that has all there is.
    pub(crate) fn of(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, frozen: None, layer: Layer::default() }
    }

    /// The same with a part of each layer alone, in one.
    pub(crate) fn part(&self, part: impl Fn(&Layer) -> Layer) -> View {
        let mut layer = self.frozen.as_deref().map(&part).unwrap_or_default();
        layer.cover(part(&self.layer));
        View { snapshot: Arc::clone(&self.snapshot), frozen: None, layer }
    }

    /// What is over the file, from below.
    pub(crate) fn layers(&self) -> impl DoubleEndedIterator<Item = &Layer> + Clone {
        self.frozen.as_deref().into_iter().chain([&self.layer])
    }

    /// Has what was changed until now be what the file is to be synced with. What was that before must be in the file.
    pub(crate) fn freeze(&mut self) -> Arc<Layer> {
        let frozen = Arc::new(std::mem::take(&mut self.layer));
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }

    /// What `read` makes of the row at `place`, if there is one.
    pub(crate) fn row<T>(
        &self,
        place: &[u8],
        read: impl FnOnce(RowRef<'_>) -> T,
    ) -> Result<Option<T>, StorageError> {
        match self.layers().rev().find_map(|layer| layer.rows.get(place)) {
            Some(row) => Ok(row.as_ref().map(|row| read(row.as_ref()))),
            None => Ok(self.snapshot.rows.get(place)?.map(|row| read(row.value()))),
        }
    }

    /// Calls `visit` with each place and row from a bound on, in their order, until it returns false.
    pub(crate) fn walk(
        &self,
        from: Bound<&[u8]>,
        visit: &mut dyn FnMut(&[u8], RowRef<'_>) -> bool,
    ) -> Result<(), StorageError> {
        if self.frozen.is_some() {
            return self.part(Layer::clone).walk(from, visit);
        }
        let mut layer = self.layer.rows_from(from).peekable();
        for row in self.snapshot.rows.range::<&[u8]>((from, Bound::Unbounded))? {
            let (place, row) = row?;
            let mut is_hidden = false;
            while let Some((over, row)) = layer.next_if(|(over, _)| *over <= place.value()) {
                is_hidden = over == place.value();
                if !row.is_none_or(|row| visit(over, row.as_ref())) {
                    return Ok(());
                }
            }
            if !is_hidden && !visit(place.value(), row.value()) {
                return Ok(());
            }
        }
        let _ = layer.all(|(over, row)| row.is_none_or(|row| visit(over, row.as_ref())));
        Ok(())
    }

    /// Expiries up to now: `max` of them, if there are as many, or some more.
    pub(crate) fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
        let mut expired = Vec::new();
        let range = ..(now_ms.saturating_add(1), [].as_slice());
        let hidden_max: usize = self.layers().map(|layer| layer.expiries.len()).sum();
        for expiry in self.snapshot.expiries.range(range)?.take(max + hidden_max) {
            let (expiry, _) = expiry?;
            let (expires_ms, place) = expiry.value();
            expired.push((expires_ms, place.to_vec()));
        }
        self.layers().for_each(|layer| layer.expired(&mut expired, now_ms));
        Ok(expired)
    }

    /// What the bucket holds; `None` if there is no such bucket.
    pub(crate) fn usage(&self, prefix: &[u8]) -> Result<Option<Usage>, StorageError> {
        match self.layers().rev().find_map(|layer| layer.usages.get(prefix)) {
            Some(usage) => Ok(*usage),
            None => {
                let usage = self.snapshot.buckets.get(prefix)?.map(|usage| usage.value());
                Ok(usage.map(|(keys, bytes)| Usage { keys, bytes }))
            }
        }
    }

    /// The prefixes of all buckets that begin with `app`.
    pub(crate) fn buckets(&self, app: &[u8]) -> Result<Vec<Vec<u8>>, StorageError> {
        let mut prefixes = Vec::new();
        for bucket in self.snapshot.buckets.range(app..)? {
            let (prefix, _) = bucket?;
            if !prefix.value().starts_with(app) {
                break;
            }
            prefixes.push(prefix.value().to_vec());
        }
        self.layers().for_each(|layer| layer.buckets(&mut prefixes, app));
        Ok(prefixes)
    }
}
