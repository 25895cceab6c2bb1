//! What a program remembers: buckets of keys and values, blobs and SQL, kept in one directory.
//!
//! A [`Store`] holds the buckets of every app and shows none of them to another app. [`Embedded`] keeps them in files,
//! [`Memory`] in memory. Reads return at once; a write is a [`Batch`] that is applied whole or not at all, and returns
//! a [`Pending`] that can be awaited or waited for. A [`Container`] lays objects of up to a gigabyte over a bucket; [`Sql`] is
//! a SQLite database that is safe to hand hostile statements.

mod apply;
pub mod blobs;
mod commit;
mod draft;
mod durable;
mod embedded;
mod error;
#[cfg(test)]
mod faults;
mod frozen;
mod layer;
pub mod limits;
mod log;
mod memory;
mod octets;
mod opened;
mod pending;
mod room;
mod rows;
mod shelf;
pub mod sql;
mod store;
mod sync;
mod tables;
pub mod transfer;
mod view;
mod watch;
mod writer;

pub use blobs::Container;
pub use embedded::Embedded;
pub use error::Error;
pub use memory::Memory;
pub use pending::Pending;
pub use sql::{Sql, SqlLimits};
pub use store::{
    Batch, Bucket, BucketSpec, Clock, Durability, Entry, Expected, Op, Page, Range, Receipt, Store, Usage,
};
pub use watch::{Change, Watch};
