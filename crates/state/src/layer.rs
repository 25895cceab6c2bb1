//! Changes that lie over what was there before: those of one transaction, or of all since a file was last synced.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::Usage;
use crate::rows::Row;

/// Rows, expiries and buckets: `None`, or not noted, hides what lies below.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) rows: BTreeMap<Vec<u8>, Option<Row>>,
    pub(crate) expiries: BTreeMap<(u64, Vec<u8>), bool>,
    pub(crate) usages: BTreeMap<Vec<u8>, Option<Usage>>,
}

impl Layer {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.expiries.is_empty() && self.usages.is_empty()
    }

    /// Puts a layer over this one, and makes them one.
    pub(crate) fn cover(&mut self, over: Layer) {
        self.rows.extend(over.rows);
        self.expiries.extend(over.expiries);
        self.usages.extend(over.usages);
    }

    /// The row at `place` alone.
    pub(crate) fn row_at(&self, place: &[u8]) -> Layer {
        let row = self.rows.get_key_value(place).map(|(place, row)| (place.clone(), row.clone()));
        Layer { rows: row.into_iter().collect(), ..Layer::default() }
    }

    /// The rows alone whose places begin with `prefix`.
    pub(crate) fn rows_at(&self, prefix: &[u8]) -> Layer {
        Layer { rows: beginning_with(prefix, &self.rows), ..Layer::default() }
    }

    /// The buckets alone whose prefixes begin with `prefix`.
    pub(crate) fn usages_at(&self, prefix: &[u8]) -> Layer {
        Layer { usages: beginning_with(prefix, &self.usages), ..Layer::default() }
    }

    /// Rows from a bound on.
    pub(crate) fn rows_from(&self, from: Bound<&[u8]>) -> impl Iterator<Item = (&[u8], Option<&Row>)> {
        let rows = self.rows.range::<[u8], _>((from, Bound::Unbounded));
        rows.map(|(place, row)| (place.as_slice(), row.as_ref()))
    }

    /// Expiries up to now, of those below and its own.
    pub(crate) fn expired(&self, below: &mut Vec<(u64, Vec<u8>)>, now_ms: u64) {
        below.retain(|expiry| !self.expiries.contains_key(expiry));
        let own = self.expiries.iter().take_while(|((expires_ms, _), _)| *expires_ms <= now_ms);
        below.extend(own.filter(|(_, noted)| **noted).map(|(expiry, _)| expiry.clone()));
    }

    /// Buckets whose prefixes begin with `app`, of those below and its own.
    pub(crate) fn buckets(&self, below: &mut Vec<Vec<u8>>, app: &[u8]) {
        below.retain(|prefix| !self.usages.contains_key(prefix));
        let own = beginning_with(app, &self.usages).into_iter();
        below.extend(own.filter_map(|(prefix, usage)| usage.map(|_| prefix)));
    }
}

fn beginning_with<T: Clone>(
    prefix: &[u8],
    map: &BTreeMap<Vec<u8>, Option<T>>,
) -> BTreeMap<Vec<u8>, Option<T>> {
    let from = map.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    let found = from.take_while(|(key, _)| key.starts_with(prefix));
    found.map(|(key, value)| (key.clone(), value.clone())).collect()
}
