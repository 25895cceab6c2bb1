//! The rows while a transaction changes them.

use std::ops::Bound;

use redb::StorageError;

use crate::Usage;
use crate::layer::Layer;
use crate::log::Record;
use crate::rows::{Row, Rows};
use crate::view::View;

/// What a transaction has changed so far, over what is there.
pub(crate) struct Draft<'v> {
    view: &'v View,
    record: Record,
}

impl<'v> Draft<'v> {
    /// Begins with a view that has all that was written up to `version`.
    pub(crate) fn of(view: &'v View, version: u64) -> Self {
        Self { view, record: Record { before: version, version, layer: Layer::default() } }
    }

    /// A version that was never given.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.record.version += 1;
        self.record.version
    }

    /// All that was changed.
    pub(crate) fn finish(self) -> Record {
        self.record
    }

    fn layer(&self) -> &Layer {
        &self.record.layer
    }
}

impl Rows for Draft<'_> {
    type Fault = StorageError;

    fn row(&self, place: &[u8]) -> Result<Option<Row>, StorageError> {
        match self.layer().rows.get(place) {
            Some(row) => Ok(row.clone()),
            None => self.view.row(place, |(version, expires_ms, value)| Row {
                version,
                expires_ms,
                value: value.to_vec(),
            }),
        }
    }

    fn set_row(&mut self, place: &[u8], row: Option<&Row>) -> Result<(), StorageError> {
        self.record.layer.rows.insert(place.to_vec(), row.cloned());
        Ok(())
    }

    fn places(&self, prefix: &[u8], max: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        let from = Bound::Included(prefix);
        let own = self.layer().rows_from(from).take_while(|(place, _)| place.starts_with(prefix));
        let own = own.filter(|(_, row)| row.is_some()).map(|(place, _)| place.to_vec());
        let mut places: Vec<_> = own.take(max).collect();
        self.view.part(|layer| layer.rows_at(prefix)).walk(from, &mut |place, _| {
            let is_one = place.starts_with(prefix) && places.len() < max;
            if is_one && !self.layer().rows.contains_key(place) {
                places.push(place.to_vec());
            }
            is_one
        })?;
        Ok(places)
    }

    fn set_expiry(&mut self, expires_ms: u64, place: &[u8], noted: bool) -> Result<(), StorageError> {
        self.record.layer.expiries.insert((expires_ms, place.to_vec()), noted);
        Ok(())
    }

    fn expired(&self, now_ms: u64, max: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        let mut expired = self.view.expired(now_ms, max + self.layer().expiries.len())?;
        self.layer().expired(&mut expired, now_ms);
        Ok(expired.into_iter().take(max).map(|(_, place)| place).collect())
    }

    fn usage(&self, prefix: &[u8]) -> Result<Option<Usage>, StorageError> {
        match self.layer().usages.get(prefix) {
            Some(usage) => Ok(*usage),
            None => self.view.usage(prefix),
        }
    }

    fn set_usage(&mut self, prefix: &[u8], usage: Option<Usage>) -> Result<(), StorageError> {
        self.record.layer.usages.insert(prefix.to_vec(), usage);
        Ok(())
    }

    fn buckets(&self, app: &[u8]) -> Result<usize, StorageError> {
        let mut buckets = self.view.buckets(app)?;
        self.layer().buckets(&mut buckets, app);
        Ok(buckets.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::Database;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::memory::Maps;
    use crate::tables::{Snapshot, prepare, store};

    #[derive(Clone, Debug)]
    enum Step {
        Row(Vec<u8>, Option<u8>),
        Expiry(u64, Vec<u8>, bool),
        Usage(Vec<u8>, Option<u64>),
        /// The transaction ends, and the next begins.
        Cover,
        /// And the file is synced, or is going to be.
        Store,
        Freeze,
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = || prop::collection::vec(0..3_u8, 1..4);
        prop_oneof![
            6 => (place(), prop::option::of(any::<u8>())).prop_map(|(place, value)| Step::Row(place, value)),
            3 => (0..6_u64, place(), any::<bool>()).prop_map(|(at, place, noted)| Step::Expiry(at, place, noted)),
            3 => (place(), prop::option::of(0..9_u64)).prop_map(|(prefix, keys)| Step::Usage(prefix, keys)),
            2 => Just(Step::Cover),
            1 => Just(Step::Store),
            1 => Just(Step::Freeze),
        ]
    }

    fn change<R: Rows<Fault: std::fmt::Debug>>(rows: &mut R, step: &Step) {
        match step {
            Step::Row(place, value) => {
                let row = value.map(|value| Row { version: 1, expires_ms: 2, value: vec![value] });
                rows.set_row(place, row.as_ref()).unwrap();
            }
            Step::Expiry(at, place, noted) => rows.set_expiry(*at, place, *noted).unwrap(),
            Step::Usage(prefix, keys) => {
                rows.set_usage(prefix, keys.map(|keys| Usage { keys, bytes: 1 })).unwrap();
            }
            Step::Cover | Step::Store | Step::Freeze => {}
        }
    }

    fn sorted(mut places: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        places.sort_unstable();
        places
    }

    /// All that can be read of rows, once with bounds that all fits in, and once with tight ones.
    fn read<R: Rows<Fault: std::fmt::Debug>>(rows: &R) -> String {
        let prefixes = [vec![], vec![0], vec![1, 2], vec![2]];
        let of = |prefix: &Vec<u8>| {
            let places = sorted(rows.places(prefix, 100).unwrap());
            let values: Vec<_> = places.iter().map(|place| rows.row(place).unwrap().unwrap().value).collect();
            let few = rows.places(prefix, 2).unwrap().len();
            (places, values, few, rows.usage(prefix).unwrap(), rows.buckets(prefix).unwrap())
        };
        let expired =
            (0..6).map(|now| (sorted(rows.expired(now, 100).unwrap()), rows.expired(now, 2).unwrap().len()));
        format!("{:?} {:?}", prefixes.iter().map(of).collect::<Vec<_>>(), expired.collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        /// A transaction over what is in memory over what is in a file is the same as one map.
        #[test]
        fn what_lies_over_another_is_read_as_one(steps in prop::collection::vec(step(), 1..60)) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            prepare(&database).unwrap();
            let snapshot = || Snapshot::of(&database).unwrap().into();
            let mut view = View::of(snapshot());
            let mut maps = Maps::default();
            for transaction in steps.split_inclusive(|step| matches!(step, Step::Cover | Step::Store | Step::Freeze)) {
                let mut draft = Draft::of(&view, 0);
                for step in transaction {
                    change(&mut draft, step);
                    change(&mut maps, step);
                    prop_assert_eq!(read(&draft), read(&maps));
                }
                view.layer.cover(draft.finish().layer);
                match transaction.last() {
                    Some(Step::Store) => {
                        store(&database, view.layers(), 0, None).unwrap();
                        view = View::of(snapshot());
                    }
                    Some(Step::Freeze) if view.frozen.is_none() => drop(view.freeze()),
                    _ => {}
                }
                let mut walked = Vec::new();
                view.walk(Bound::Excluded(&[1]), &mut |place, row| {
                    walked.push((place.to_vec(), row.2.to_vec()));
                    true
                }).unwrap();
                let map = maps.rows.range(vec![1, 0]..).map(|(place, row)| (place.clone(), row.value.clone()));
                prop_assert_eq!(walked, map.collect::<Vec<_>>());
            }
        }
    }
}
