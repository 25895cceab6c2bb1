//! From a bucket of a manifest to the bucket of a store.

use image::Manifest;
use state::{Bucket, BucketSpec};

use crate::Error;

/// The bucket called `name`, as the manifest wants it.
///
/// # Errors
/// [`Error::NoBucket`] when the manifest has none of that name; when the store does not take the name.
pub fn bucket(manifest: &Manifest, name: &str) -> Result<Bucket, Error> {
    let app = manifest.app.name.to_string();
    let Some(declared) = manifest.buckets.get(name) else {
        let known = manifest.buckets.keys().map(|name| name.to_string()).collect();
        return Err(Error::NoBucket { app, bucket: name.to_owned(), known });
    };
    let spec = BucketSpec {
        app,
        name: name.to_owned(),
        durability: match declared.durability {
            image::Durability::Memory => state::Durability::Memory,
            image::Durability::Os => state::Durability::Os,
            image::Durability::Disk => state::Durability::Disk,
        },
        ttl: declared.ttl.as_ref().map(|ttl| ttl.0),
        quota_bytes: declared.quota.as_ref().map(|quota| quota.0),
    };
    Ok(Bucket::new(spec)?)
}
