//! The thread that writes a file: it takes all that waits, applies it in one transaction, makes that durable, and then
//! tells everybody.

use std::sync::Arc;

use redb::StorageError;

use crate::apply::{Applied, Task, perform, sweep};
use crate::draft::Draft;
use crate::rows::milliseconds;
use crate::shelf::{Shared, Work};
use crate::{Bucket, Error};

/// The one who writes a file.
pub(crate) struct Writer(pub(crate) Arc<Shared>);

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        while let Some(group) = self.0.queue.take() {
            self.commit(group);
        }
        self.0.file.settle();
    }

    fn commit(&self, mut group: Vec<Work>) {
        let bytes = group.iter().map(|work| work.bytes).sum();
        if let Err(error) = self.0.file.check_room(bytes) {
            let (removing, adding): (Vec<_>, _) =
                group.into_iter().partition(|work| work.task.only_removes());
            for work in adding {
                let _ = work.reply.send(Err(error.clone()));
            }
            if removing.is_empty() {
                return;
            }
            group = removing;
        }
        let only_removes = group.iter().all(|work| work.task.only_removes());
        let mut waiting = Vec::with_capacity(group.len());
        let mut tasks = Vec::with_capacity(group.len());
        for Work { bucket, task, reply, .. } in group {
            waiting.push((bucket.clone(), reply));
            tasks.push((bucket, task));
        }
        let now_ms = milliseconds((self.0.now)());
        match self.0.file.write(only_removes, |draft| transact(draft, tasks, now_ms)) {
            Ok(outcomes) => {
                for ((bucket, reply), outcome) in waiting.into_iter().zip(outcomes) {
                    let receipt = outcome.map(|applied| {
                        self.0.watches.tell(&bucket, applied.keys);
                        applied.receipt
                    });
                    // Who no longer waits does not want to know.
                    let _ = reply.send(receipt);
                }
            }
            Err(error) => {
                for (_, reply) in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

impl Drop for Writer {
    /// Also when it panics: nobody may be left waiting for a thread that is gone.
    fn drop(&mut self) {
        self.0.queue.close();
        while self.0.queue.take().is_some() {}
    }
}

/// What came of each task.
fn transact(
    draft: &mut Draft<'_>,
    tasks: Vec<(Bucket, Task)>,
    now_ms: u64,
) -> Result<Vec<Result<Applied, Error>>, StorageError> {
    sweep(draft, now_ms)?;
    let perform = |(bucket, task): (Bucket, Task)| {
        let version = draft.next_version();
        perform(draft, &bucket, task, now_ms, version)
    };
    tasks.into_iter().map(perform).collect()
}
