//! What an app remembers: its buckets and blob stores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, Bytes, Time};

/// A key-value space that the functions which are granted it share.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a bucket: a table, such as `{ durability = \"disk\" }`")]
pub struct Bucket {
    /// What a write that has returned outlives.
    pub durability: Durability,
    /// How long a key lives after it was last written; without it, until it is deleted.
    pub ttl: Option<At<Time>>,
    /// Bytes that keys and values may take together; without it, as many as the disk has.
    pub quota: Option<At<Bytes>>,
}

/// What a write that has returned outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: the bucket is empty when the node starts.
    Memory,
    /// The end of the node, but not of the machine.
    Os,
    /// The loss of power.
    #[default]
    Disk,
}

/// A store of large values that the functions which are granted it share.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a blob store: a table, such as `{ quota = \"1G\" }`")]
pub struct Blobs {
    /// Bytes that the values may take together; without it, as many as the disk has.
    pub quota: Option<At<Bytes>>,
}
