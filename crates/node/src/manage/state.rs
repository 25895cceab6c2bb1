//! What an app remembers, to be looked at and changed from outside.

use std::io::BufWriter;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use state::limits::VALUE_BYTES_MAX;
use state::{Batch, Bucket, Error, Range, Store, transfer};

use super::query::{self, Query};
use super::{Answer, BYTES, JSON_LINES, Refusal, full, json_answer, pipe, whole, with_body};
use crate::{Node, bucket};

pub(super) async fn buckets(node: &Node) -> Answer {
    let mut all = Vec::new();
    let app = node.app();
    for name in app.manifest().buckets.keys() {
        let bucket = named(node, name)?;
        let usage = in_bucket(node, &bucket, |store, bucket| store.usage(bucket)).await?;
        let durability = bucket.spec().durability.to_string();
        all.push(json!({
            "bucket": **name,
            "durability": durability,
            "keys": usage.keys,
            "bytes": usage.bytes,
        }));
    }
    Ok(json_answer(&json!({ "buckets": all })))
}

pub(super) async fn keys(node: &Node, bucket: &str, query: &Query<'_>) -> Answer {
    let bucket = named(node, bucket)?;
    let prefix = query.bytes("prefix").unwrap_or_default();
    let (after, limit) = (query.bytes("after"), query.number("limit")?.unwrap_or_default());
    let page = in_bucket(node, &bucket, move |store, bucket| {
        store.keys(bucket, Range { prefix: &prefix, after: after.as_deref(), limit })
    });
    let page = page.await?;
    let next = page.next.map(|next| percent_encode(&next, NON_ALPHANUMERIC).to_string());
    Ok(json_answer(&json!({ "keys": page.items.into_iter().map(key_json).collect::<Value>(), "next": next })))
}

pub(super) async fn get(node: &Node, bucket: &str, key: &str) -> Answer {
    let bucket = named(node, bucket)?;
    let key = query::bytes(key);
    let entry = in_bucket(node, &bucket, move |store, bucket| store.get(bucket, &key)).await?;
    match entry {
        Some(entry) => Ok(full(BYTES, entry.value)),
        None => {
            let error = format!("bucket `{}` has no such key", bucket.spec().name);
            Err(Refusal::new(StatusCode::NOT_FOUND, error))
        }
    }
}

pub(super) async fn put(node: &Node, bucket: &str, key: &str, body: Incoming) -> Answer {
    let value = whole(body, VALUE_BYTES_MAX).await?;
    write(node, bucket, Batch::default().put(query::bytes(key), value)).await
}

pub(super) async fn delete(node: &Node, bucket: &str, key: &str) -> Answer {
    write(node, bucket, Batch::default().delete(query::bytes(key))).await
}

async fn write(node: &Node, bucket: &str, batch: Batch) -> Answer {
    let bucket = named(node, bucket)?;
    let receipt = in_bucket(node, &bucket, |store, bucket| store.write(bucket, batch).wait()).await?;
    Ok(json_answer(&json!({ "version": receipt.version })))
}

pub(super) async fn export(node: &Node, bucket: &str) -> Answer {
    let bucket = named(node, bucket)?;
    in_bucket(node, &bucket, |_, _| Ok(())).await?;
    let (writer, body) = pipe::writer();
    let store = Arc::clone(node.app().store());
    tokio::task::spawn_blocking(move || {
        let exported = transfer::export(store.as_ref(), &bucket, BufWriter::new(&writer));
        if let Err(error) = exported {
            writer.fail(error.to_string());
        }
    });
    Ok(with_body(JSON_LINES, body))
}

pub(super) async fn import(node: &Node, bucket: &str, body: Incoming) -> Answer {
    let bucket = named(node, bucket)?;
    let (sender, reader) = pipe::reader();
    let importing = in_bucket(node, &bucket, |store, bucket| transfer::import(store, bucket, reader));
    let (count, ()) = tokio::join!(importing, pipe::pump(body, sender));
    Ok(json_answer(&json!({ "entries": count? })))
}

/// The bucket with this encoded name.
fn named(node: &Node, encoded: &str) -> Result<Bucket, Refusal> {
    bucket(node.app().manifest(), &query::text(encoded)?).map_err(|error| match error {
        crate::Error::State(error) => refusal(error),
        error => Refusal { status: StatusCode::NOT_FOUND, error: error.to_string(), hint: error.hint() },
    })
}

/// Does what may block, with the bucket open: one that no function is granted was not opened before.
async fn in_bucket<T: Send + 'static>(
    node: &Node,
    bucket: &Bucket,
    work: impl FnOnce(&dyn Store, &Bucket) -> Result<T, Error> + Send + 'static,
) -> Result<T, Refusal> {
    let (store, bucket) = (Arc::clone(node.app().store()), bucket.clone());
    let done = tokio::task::spawn_blocking(move || {
        store.open(&bucket)?;
        work(store.as_ref(), &bucket)
    });
    done.await.unwrap_or(Err(Error::Closed)).map_err(refusal)
}

/// A key as in an export: what is not UTF-8 is base64.
fn key_json(key: Vec<u8>) -> Value {
    match String::from_utf8(key) {
        Ok(key) => json!({ "key": key }),
        Err(error) => json!({ "key_base64": STANDARD.encode(error.as_bytes()) }),
    }
}

fn refusal(error: Error) -> Refusal {
    let status = match error {
        Error::Name(_) | Error::Key { .. } | Error::Value { .. } | Error::Line(_) | Error::Transfer(_) => {
            StatusCode::BAD_REQUEST
        }
        Error::NoBucket(_) => StatusCode::NOT_FOUND,
        Error::Quota { .. } => StatusCode::INSUFFICIENT_STORAGE,
        Error::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let refusal = Refusal::new(status, error.to_string());
    match error.hint() {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}
