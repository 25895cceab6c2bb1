//! JSON values in a bucket.

use serde::{Serialize, de::DeserializeOwned};

use crate::wasi::keyvalue::atomics::{Cas, CasError, swap};
use crate::wasi::keyvalue::store::Bucket;

/// The value of a key; the empty one where there is none.
pub fn read<T: Default + DeserializeOwned>(bucket: &Bucket, key: &str) -> T {
    parsed(bucket.get(key).expect("a read"))
}

/// Changes a value by compare-and-swap, again and again until nobody came between, and returns what it is now.
pub fn change<T: Default + DeserializeOwned + Serialize>(
    bucket: &Bucket,
    key: &str,
    change: impl Fn(&mut T),
) -> T {
    let mut seen = Cas::new(bucket, key).expect("a read");
    loop {
        let mut value: T = parsed(seen.current().expect("a read"));
        change(&mut value);
        match swap(seen, &serde_json::to_vec(&value).expect("JSON")) {
            Ok(()) => return value,
            Err(CasError::CasFailed(newer)) => seen = newer,
            Err(CasError::StoreError(error)) => panic!("cannot write `{key}`: {error:?}"),
        }
    }
}

fn parsed<T: Default + DeserializeOwned>(value: Option<Vec<u8>>) -> T {
    value.map(|value| serde_json::from_slice(&value).expect("what this app wrote")).unwrap_or_default()
}
